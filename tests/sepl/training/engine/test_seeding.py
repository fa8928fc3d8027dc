import torch

from sepl.training.engine.seeding import RandomStreams

CPU = torch.device("cpu")


def _draw(streams: RandomStreams) -> torch.Tensor:
    with streams.active():
        network = torch.rand(3)
    order = torch.rand(3, generator=streams.order)
    others = [torch.rand(3, generator=generator) for generator in (streams.augmentation, streams.known)]
    return torch.cat([network, order, *others])


def test_the_same_seed_gives_the_same_streams_and_another_seed_others() -> None:
    first, again, other = (_draw(RandomStreams(seed, CPU)) for seed in (3, 3, 4))

    assert torch.equal(first, again)
    assert not torch.isclose(first, other).any()


def test_the_streams_of_one_seed_differ_from_each_other() -> None:
    drawn = _draw(RandomStreams(0, CPU))

    assert len(drawn.unique()) == len(drawn)


def test_runs_in_one_process_neither_disturb_each_other_nor_the_global_generator() -> None:
    alone = RandomStreams(1, CPU)
    expected = torch.cat([_draw(alone), _draw(alone)])
    before = torch.get_rng_state()

    run, other = RandomStreams(1, CPU), RandomStreams(2, CPU)
    first = _draw(run)
    _draw(other)
    second = _draw(run)

    assert torch.equal(torch.cat([first, second]), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_is_handed_back_when_the_block_fails() -> None:
    streams = RandomStreams(0, CPU)
    before = torch.get_rng_state()

    try:
        with streams.active():
            torch.rand(1)
            raise ValueError
    except ValueError:
        pass

    assert torch.equal(torch.get_rng_state(), before)


def test_restored_streams_go_on_where_they_were() -> None:
    streams = RandomStreams(0, CPU)
    _draw(streams)
    state = {name: tensor.clone() for name, tensor in streams.state_dict().items()}
    expected = _draw(streams)

    restored = RandomStreams(99, CPU)
    restored.load_state_dict(state)

    assert torch.equal(_draw(restored), expected)
