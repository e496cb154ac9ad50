import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BUSY = """
import time

def test_busy():
    began = time.process_time()
    while time.process_time() - began < 0.3:
        pass

def test_idle():
    time.sleep(0.3)
"""
CHILD = """
import subprocess, sys

def test_child():
    subprocess.run([sys.executable, "-c", {busy!r}], check=True)
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_time_of_tests_and_of_what_they_start(workers, tmp_path):
    (tmp_path / "test_own.py").write_text(BUSY)
    (tmp_path / "test_child.py").write_text(CHILD.format(busy=f"{BUSY}\ntest_busy(); test_busy()"))
    (tmp_path / "test_none.py").write_text("def test_none():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "file_times", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *workers, str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = re.findall(r"^ +(\d+\.\d) s +(\d+)%  (\S+)$", done.stdout, re.M)
    assert [name for *_, name in lines] == ["test_child.py", "test_own.py", "test_none.py"]
    child, own, none = (float(seconds) for seconds, *_ in lines)
    # Waiting takes no time of a processor.
    assert none < 0.3 <= own < 0.6 <= child
    assert abs(sum(int(share) for _, share, _ in lines) - 100) <= 2
    (total,) = re.findall(r"^ +(\d+\.\d) s +in all$", done.stdout, re.M)
    assert abs(float(total) - child - own - none) < 0.2
