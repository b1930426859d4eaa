from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from polydx.training.logs import TensorBoardLog


def test_scalars_can_be_read_back_by_tensorboard(tmp_path):
    with TensorBoardLog(tmp_path / "logs") as log:
        for step in range(3):
            log.scalars(step, {"loss": 1.0 / (step + 1), "monitor/als": 0.5})
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss", "monitor/als"]
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("loss")] == [(0, 1.0), (1, 0.5), (2, 0.333)]
