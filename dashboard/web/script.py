"""What Streamlit runs for every view. It stands alone so that the modules it uses are loaded once."""

from dashboard.shell import run

run()
