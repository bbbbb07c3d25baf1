"""Tools: pipelines, failures in words, limits, and children that end with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opengenome_assets.variants import tools

SAM = "@SQ\tSN:c\tLN:100\nb\t0\tc\t50\t60\t4M\t*\t0\t0\tACGT\tIIII\na\t0\tc\t5\t60\t4M\t*\t0\t0\tACGT\tIIII\n"


def test_a_pipeline_reads_and_writes(tmp_path):
    out = tmp_path / "sorted.sam"
    tools.run(
        ("samtools", "sort", "--no-PG", "-u", "-"),
        ("samtools", "view", "--no-PG", "-"),
        feed=lambda stream: stream.write(SAM.encode()),
        output=out,
    )
    assert [line.split("\t")[0] for line in out.read_text().splitlines()] == ["a", "b"]
    (tmp_path / "x.sam").write_text(SAM)
    with tools.reading(("samtools", "stats", str(tmp_path / "x.sam"))) as stream:
        assert b"\nSN\traw total sequences:\t2\t" in stream.read()


def test_a_failure_has_the_command_and_its_words():
    with pytest.raises(tools.ToolError, match=r"samtools view failed with 1: .*/none.bam.*No such file"):
        tools.run(("samtools", "view", "/none.bam"))
    with pytest.raises(tools.ToolError, match="bcftools view failed"):
        tools.run(("bcftools", "view", "-"), feed=lambda stream: stream.write(b"no VCF\n"))


@pytest.mark.long
def test_a_command_that_takes_too_long_is_ended(tmp_path):
    os.mkfifo(tmp_path / "fifo")  # nobody writes to it
    with (
        pytest.raises(tools.ToolError, match="samtools view: not finished within 1 s, and ended"),
        tools.reading(("samtools", "view", str(tmp_path / "fifo")), seconds=1) as stream,
    ):
        stream.read()


def test_input_that_breaks_off_is_the_error_and_not_what_a_tool_says_of_it():
    def feed(stream):
        stream.write(SAM.encode()[:30])
        raise ValueError("the source ended early")

    with (
        pytest.raises(ValueError, match="the source ended early"),
        tools.reading(("samtools", "view", "-"), ("samtools", "fastq", "-"), feed=feed) as stream,
    ):
        stream.read()


def test_cutadapt_is_a_tool_like_the_others():
    reads = b"@a\nACGTACGTAGATCGGAAGAGC\n+\nIIIIIIIIIIIIIIIIIIIII\n"
    command = ("cutadapt", "--quiet", "-a", "AGATCGGAAGAGC", "-")
    with tools.reading(command, feed=lambda stream: stream.write(reads)) as stream:
        assert stream.read() == b"@a\nACGTACGT\n+\nIIIIIIII\n"
    with pytest.raises(tools.ToolError, match=r"cutadapt -a failed with [0-9]: .*No such file"):
        tools.run(("cutadapt", "-a", "ACGTACGT", "/none.fq"))


def test_versions_are_those_that_run(tmp_path):
    (tmp_path / "x.sam").write_text(SAM)
    with tools.reading(("samtools", "stats", str(tmp_path / "x.sam"))) as stream:
        assert f"produced by samtools stats ({tools.versions()['samtools']} " in stream.readline().decode()


@pytest.mark.slow
def test_children_end_with_a_parent_that_is_killed(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = (
        "import sys; from opengenome_assets.variants import tools; "
        "tools.run(('samtools', 'view', sys.argv[1]), feed=None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(fifo)])
    deadline = time.monotonic() + 60
    children: list[int] = []
    while not children and time.monotonic() < deadline:
        listed = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        children = [int(pid) for pid in listed if b"samtools" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        time.sleep(0.05)
    (child,) = children
    while b"pysam" not in Path(f"/proc/{child}/maps").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()
