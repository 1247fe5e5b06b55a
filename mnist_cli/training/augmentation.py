"""stub"""


def augment(images, augmentation, seed, epoch, out):
    out.copy_(images)
