import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from hiddenite.training.processes import Processes, choose_device, processes

WORKER = """
import sys
import torch
sys.path.insert(0, sys.argv[1])
from training_helpers import small_dataset, small_recipe
from hiddenite.training.processes import processes
from hiddenite.training.run import train

torch.set_num_threads(1)
with processes("cpu") as group:
    folder = sys.argv[2]
    model = train(small_recipe(epochs=2), small_dataset(), group, checkpoint=folder + "/hidden.pt")
    torch.save(model.state_dict(), f"{folder}/model-{group.rank}-of-{group.count}.pt")
"""


def test_two_processes_train_one_model(tmp_path, request):
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    helpers = request.config.rootpath / "tests"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, worker, helpers, tmp_path], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    first, second = (
        torch.load(tmp_path / f"model-{rank}-of-2.pt", weights_only=True) for rank in (0, 1)
    )
    scores = [name for name in first if name.endswith("scores")]
    assert scores
    assert all(torch.equal(first[name], second[name]) for name in scores)
    state = torch.load(tmp_path / "hidden.pt", weights_only=True)
    assert state["trainer"]["epoch"] == 2


def test_shares_are_all_of_a_batch():
    device = torch.device("cpu")
    shares = [Processes(rank, 3, device).share(range(10)) for rank in range(3)]
    assert sorted(item for share in shares for item in share) == list(range(10))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone():
    with processes("cpu") as group:
        assert group.first and group.count == 1
        assert group.total(1.5, 2) == (1.5, 2)
        group.wait()


def test_device_is_a_gpu_where_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device().type == expected
    assert choose_device("cpu").type == "cpu"
