"""What the tests of datasets share: a cache of their own, and small datasets in files."""

import contextlib
import gzip
import http.server
import re
import tarfile
import threading

import numpy as np
import pytest

from hiddenite.golden.errors import InputError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HIDDENITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture
def refused():
    """Expect an `InputError` with exactly this message."""

    @contextlib.contextmanager
    def expect(message):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            yield

    return expect


@pytest.fixture
def save_image():
    """Write an array, uint8 (H, W) or (H, W, C), as an image file."""
    image_module = pytest.importorskip(
        "PIL.Image", reason="images in files are not tested: Pillow is not installed"
    )

    def save(path, pixels):
        path.parent.mkdir(parents=True, exist_ok=True)
        image_module.fromarray(pixels).save(path)

    return save


@pytest.fixture
def picture_folder(tmp_path, save_image):
    """Make a folder with two classes, three images each to train, one to test: (folder, images).

    Images are PNG files, in the order of the dataset.
    """

    def make(shape=(4, 5, 3), name="pictures", test="test"):
        rng = np.random.default_rng(1)
        images = {"train": [], test: []}
        for part, count in (("train", 3), (test, 1)):
            for label in ("cat", "dog"):
                for number in range(count):
                    pixels = rng.integers(0, 256, shape, np.uint8)
                    save_image(tmp_path / name / part / label / f"{number}.png", pixels)
                    images[part].append(pixels.reshape(*shape[:2], -1))
        return tmp_path / name, np.array(images["train"]), np.array(images[test])

    return make


@pytest.fixture
def pack():
    """Make a tar archive of what is in a folder."""

    def make(folder, path, mode="w:gz"):
        with tarfile.open(path, mode) as tar:
            for inside in sorted(folder.iterdir()):
                tar.add(inside, inside.name)
        return path

    return make


def idx_bytes(array):
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture
def idx_folder(tmp_path):
    """Make a small Fashion-MNIST, its images with gzip: (folder, uncompressed contents)."""
    rng = np.random.default_rng(2)
    folder = tmp_path / "idx"
    folder.mkdir()
    contents = {}
    for part, count in (("train", 12), ("t10k", 5)):
        contents[f"{part}-images-idx3-ubyte"] = idx_bytes(rng.integers(0, 256, (count, 6, 6)))
        contents[f"{part}-labels-idx1-ubyte"] = idx_bytes(np.arange(count) % 10)
    for name, content in contents.items():
        if "images" in name:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder, contents


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


@pytest.fixture
def server(monkeypatch):
    """Serve files over HTTP: (URL, dict of path to content, dict of path to stated length)."""
    files, lengths = {}, {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(lengths.get(self.path, len(content))))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "*")
    with _Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", files, lengths
        running.shutdown()
        thread.join()
