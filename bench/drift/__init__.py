"""How often drift monitoring is wrong, on real auctions: false alarms, power, outliers, estimates.

material (data, halves, windows, shifts) -> measure (one function a question) -> report (JSON,
Markdown, plot).
"""
