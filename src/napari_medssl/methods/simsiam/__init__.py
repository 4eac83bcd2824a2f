"""SimSiam: an encoder from two views of each image, without negatives."""
