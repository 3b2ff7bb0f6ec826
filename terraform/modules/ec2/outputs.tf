output "instances" {
  description = "The hosts."
  value = {
    for key, instance in aws_instance.this : key => {
      id         = instance.id
      private_ip = instance.private_ip
      public_ip  = var.public ? aws_eip.this[key].public_ip : null
    }
  }
}
