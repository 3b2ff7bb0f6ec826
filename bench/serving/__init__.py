"""The prediction API beside its peers: same machine, same run, same requests, answers checked.

prepare (tools, peers' environment) -> material (model, requests, right answers) -> servers
(processes) -> load (wrk) -> report (JSON, Markdown).
"""
