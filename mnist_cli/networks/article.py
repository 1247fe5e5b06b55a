"""The article's four networks. Each maps N×1×28×28 float32 to N×num_classes logits.

The defaults of all arguments are the article's; the comments give the shapes with the defaults.
"""

from torch import Tensor, nn


class MLP(nn.Module):
    """One hidden layer of 32 units: 25,450 parameters."""

    def __init__(self, hidden: int = 32, num_classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(28 * 28, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """N×1×28×28 to N×num_classes."""
        return self.layers(images)


class TinyCNN(nn.Module):
    """Two narrow convolutions and one linear layer: 4,266 parameters."""

    def __init__(self, channels: int = 4, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # N×4×14×14
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # N×8×7×7
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """N×1×28×28 to N×num_classes."""
        return self.classifier(self.features(images))


class CNN(nn.Module):
    """Two convolutions and a hidden layer, as large as the MLP: 26,698 parameters."""

    def __init__(self, channels: int = 8, hidden: int = 32, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # N×8×14×14
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # N×16×7×7
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """N×1×28×28 to N×num_classes."""
        return self.classifier(self.features(images))


class StrongCNN(nn.Module):
    """Four convolutions with dropout: 467,818 parameters.

    `dropout` is the probability after each pooling; before the last layer it is twice as high.
    """

    def __init__(
        self,
        channels: int = 32,
        hidden: int = 128,
        dropout: float = 0.25,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # N×32×14×14
            nn.Dropout(dropout),
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * channels, 2 * channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # N×64×7×7
            nn.Dropout(dropout),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, hidden),
            nn.ReLU(),
            nn.Dropout(2 * dropout),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """N×1×28×28 to N×num_classes."""
        return self.classifier(self.features(images))
