"""Dashboard: a page is data; renderers turn its blocks into screen and print."""
