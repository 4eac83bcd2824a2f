"""ACTION and ACTION++: segmentation from a few masks by anatomical contrastive distillation.

Sources: You et al., ACTION, IPMI 2023 (arXiv 2206.02307), and ACTION++, MICCAI 2023 (arXiv
2304.02689). A student learns by gradient, a teacher is its moving average.

=============================  ====================================================
stage i, global distillation   `distillation`: an image is to lie among others for the
                               student as it does for the teacher
stage ii, local distillation   `local_vectors`: the same for crops of the output, and
                               the masks (`supervision`)
stage iii, anatomical          `anatomical_contrast`, pseudo labels (`supervision`), the
contrast                       masks; of ACTION++ besides `class_centres`, `temperature`
=============================  ====================================================

`objective` joins them into stages, and holds the recipes that stand beside them: masks alone, mean
teacher, strong and weak views. Each module says where it differs from the papers.
"""
