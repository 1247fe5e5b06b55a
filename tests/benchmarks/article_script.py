"""The article's experiment with its MLP, as one script: python article_script.py FOLDER EPOCHS

It uses torch and torchvision alone, as the article does. FOLDER is in torchvision's layout.
"""

import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor


def main(folder: str, epochs: int) -> None:
    train = DataLoader(MNIST(folder, train=True, transform=ToTensor()), 64, shuffle=True)
    test = DataLoader(MNIST(folder, train=False, transform=ToTensor()), 64)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
    model.to(device)
    optimizer, criterion = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    started = time.perf_counter()
    for _ in range(epochs):
        for images, labels in train:
            optimizer.zero_grad()
            loss = criterion(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
    seconds = time.perf_counter() - started
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in test:
            right += (model(images.to(device)).argmax(1) == labels.to(device)).sum().item()
    sys.stdout.write(f"accuracy {right / 10_000:.4f} in {seconds:.2f} s\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
