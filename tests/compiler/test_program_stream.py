from hiddenite.compiler.program_stream import PacedStream, ProgramStream


def paced(**fields):
    return PacedStream(
        **{"period": 4, "depth": 8, "restart": 100, "image_cycles": 500, "shared": True} | fields
    )


def test_words_that_are_there():
    stream = ProgramStream()
    assert stream.take(10, 5) == 15 and stream.take(10, 5, 20) == 30
    assert stream.image(7) == 7


def test_words_come_one_after_another():
    stream = paced()
    assert stream.take(0, 1) == 101
    assert stream.take(0, 10) == 141


def test_as_many_wait_as_the_queue_holds():
    stream = paced()
    stream.take(0, 1)
    # Eight have come meanwhile, and the others since the first of them was taken.
    assert stream.take(1000, 8) == 1008
    assert stream.take(1008, 4) == 1013


def test_no_words_come_with_the_image():
    stream = paced()
    stream.take(0, 2)
    assert stream.image(105) == 605
    # One more was on its way.
    assert stream.take(106, 1) == 706
    alone = paced(shared=False)
    alone.take(0, 2)
    assert alone.image(105) == 605 and alone.take(106, 1) == 109


def test_next_program():
    stream = paced()
    stream.take(0, 3)
    stream.next_program(1000)
    # It was read while the engine worked.
    assert stream.take(0, 8) == 8
