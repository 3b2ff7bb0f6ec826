"""The metrics of the job: the files they are in, and what each tells."""

RESULTS = "shill_drift.prom"
RUN = "shill_drift_run.prom"

RESULT_METRICS = {
    "shill_data_drift_score": "Largest d/(d+t) of the features; above 0.5 is drift.",
    "shill_feature_drift_distance": "Normed Wasserstein distance d of the window.",
    "shill_feature_drift_threshold": "Distance t from which on it is drift, for this many rows.",
    "shill_drifted_features": "Features whose distance exceeds their threshold.",
    "shill_drift_alarm_streak": "Latest scored runs in a row with drift.",
    "shill_feature_drift_alarm_streak": "Latest scored runs in a row with drift of the feature.",
    "shill_model_performance_score": "Performance, estimated without labels or measured by them.",
    "shill_model_performance_baseline": "Performance in cross-validation, at training.",
    "shill_label_coverage_ratio": "Labelled share of the predictions in the label window.",
    "shill_labelled_rows": "Labelled predictions that the labelled scores rest on.",
    "shill_unknown_labels": "Labels whose prediction is not in the log.",
    "shill_label_delay_seconds": "Time from a prediction to its first label.",
    "shill_drift_window_rows": "Predictions in the window.",
    "shill_drift_window_start_timestamp_seconds": "When the window's first prediction was made.",
    "shill_drift_window_end_timestamp_seconds": "When the window's last prediction was made.",
    "shill_drift_window_findings": "Rows or columns of the window that something is wrong with.",
    "shill_drift_model_info": "The model whose predictions are looked at.",
    "shill_drift_last_success_timestamp_seconds": "When the last run finished.",
    "shill_drift_last_score_timestamp_seconds": "When the last run finished that had rows enough.",
    "shill_drift_report_info": "The directory of the run's report.",
}
RUN_METRICS = {
    "shill_drift_last_run_timestamp_seconds": "When the last run ended, however it did.",
    "shill_drift_last_exit_code": "How it ended: 0, 3 and 4 are success.",
    "shill_drift_job_duration_seconds": "How long it took.",
}
