"""Bills of material: what each image and the developer's environment are made of, in CycloneDX."""
