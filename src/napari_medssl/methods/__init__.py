"""The five methods: tensors and arrays in, tensors and arrays out. No files, no Qt."""
