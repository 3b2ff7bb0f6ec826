mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name               = "shill-production-123456789012"
  noncurrent_days    = 30
  reader_writer_arns = ["arn:aws:iam::123456789012:role/host"]
  expiry_days        = { "predictions/" = 400, "backups/" = 14 }
}

run "a_bucket_is_private_versioned_and_encrypted" {
  command = plan

  module {
    source = "./modules/s3"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "public access is not blocked altogether"
  }
  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs count"
  }
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "it keeps no versions"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "it is not encrypted with AES256"
  }
  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "destroying it destroys what is in it"
  }
}

run "its_policy_wants_tls_and_known_principals" {
  command = plan

  module {
    source = "./modules/s3"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.this[0].policy).Statement : statement.Effect == "Deny"])
    error_message = "the policy allows something, which is for IAM to do"
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this[0].policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    error_message = "it answers without TLS"
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this[0].policy).Statement[2].Condition.ArnNotEquals["aws:PrincipalArn"] == ["arn:aws:iam::123456789012:role/host"]
    error_message = "others touch its objects"
  }
}

run "a_key_of_ones_own_encrypts" {
  command = plan

  module {
    source = "./modules/s3"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0123abcd"
  }

  assert {
    condition = (
      one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn
      && one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    )
    error_message = "the key is not used, or asked at each object"
  }
}

run "data_and_old_versions_expire_models_stay" {
  command = plan

  module {
    source = "./modules/s3"
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix => rule.expiration[0].days if rule.id != "versions"
    } == { "predictions/" = 400, "backups/" = 14 }
    error_message = "something else expires than what should"
  }
  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.noncurrent_version_expiration[0].noncurrent_days if rule.id == "versions"]) == 30
    error_message = "old versions stay"
  }
}

run "an_emulator_gets_no_policy" {
  command = plan

  module {
    source = "./modules/s3"
  }

  variables {
    attach_policy = false
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 0
    error_message = "the policy is attached"
  }
}
