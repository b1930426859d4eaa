"""REST API and web page over bundles, without torch. The only part of polydx that imports FastAPI."""
