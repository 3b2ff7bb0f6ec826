"""The prediction log in S3: closed segments as Parquet, and SQL over what is here and there."""
