"""The screens: `streamlit run app.py` with NERVE_SITE naming the site's folder."""

from pathlib import Path

import streamlit as st

from dashboard.shell import pulse, show_fault
from dashboard.web.routes import routes

app = st.App(
    Path(__file__).parent / "dashboard" / "web" / "script.py",
    routes=routes(pulse),
    on_script_error=show_fault,
)
