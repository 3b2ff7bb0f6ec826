terraform {
  # 1.11 brought S3 state locking without DynamoDB, and mocks that answer while planning.
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0" # the one that is tested; how to raise it: docs/terraform.md
    }
  }
}

# There is no .terraform.lock.hcl here. A provider had from a filesystem mirror yields the checksum of
# that machine's platform alone, and such a lock refuses every other one. To pin the checksums of yours:
#     terraform providers lock -platform=linux_amd64 -platform=linux_arm64 -platform=darwin_arm64
