"""The report's figures: Vega-Lite charts with the table that each shows."""
