"""Memory that is freed and allocated again."""

import platform
import subprocess
import sys

import pytest

COUNT_PAGE_FAULTS = """
import ctypes, resource
from mnist_cli.training.device import _keep_freed

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        bytearray(40_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(page_faults())
_keep_freed()
page_faults()
print(page_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    command = [sys.executable, "-c", COUNT_PAGE_FAULTS]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    without, with_it = map(int, output.split())
    assert without > 50_000
    assert with_it < without / 10
