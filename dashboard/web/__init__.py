"""Screens: blocks drawn in the browser. With `dashboard.shell` and `app.py` the only code that knows Streamlit."""
