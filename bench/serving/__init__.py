"""The prediction API beside its peers: same machine, same run, same requests, answers checked.

prepare (tools, the peers' environments) -> material (model, requests, right answers) -> servers
(processes) -> rounds (their turns) -> load (wrk) -> report (JSON, Markdown). pressure sends crowds
to this project's server alone; guard is a verdict for CI.
"""
