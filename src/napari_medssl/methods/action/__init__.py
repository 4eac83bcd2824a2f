"""ACTION and ACTION++: segmentation from few painted masks and many images without any."""
