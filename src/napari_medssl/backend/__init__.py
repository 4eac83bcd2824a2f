"""What is computed: joins methods, files and state. No Qt."""
