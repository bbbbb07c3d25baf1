"""A small corpus with a history, made once by the real assets."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, write_files
from opengenome_assets_tests.shared import once

A, B, C = ">a1 first\nACGTACGTAA\n>a2\nGGGTTTAAAC\n", ">b1\nTTTTACGGCA\n", ">c1\nCCCCACGTTT\n"
MADE_AGAIN = "raw_fasta,rejected_records,sequence_shards,kmer_,kmer_freq_k2,tfidf_index,tfidf_terms"


@dataclass(frozen=True)
class Story:
    """A corpus whose tables have three versions, and the runs that made them, oldest first.

    Version 0 is of the files a and b, and with it all was made. Of version 1, a has one sequence more, b lies in
    another folder, and c is new. Version 2 is of the files of version 0 again.
    """

    corpus: Corpus
    runs: tuple[str, str, str]

    @property
    def home(self) -> Home:
        return self.corpus.home


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """To be read, not changed; Dagster's records lie where the command line finds them."""
    return once(tmp_path_factory, "story", _make_story)


def _make_story(root: Path) -> Story:
    fasta = root / "fasta"
    corpus = Corpus(Home(str(root / "home")), str(fasta), (2,))
    (root / "home" / "dagster").mkdir(parents=True)
    with dg.DagsterInstance.local_temp(
        str(root / "home" / "dagster"), overrides={"telemetry": {"enabled": False}}
    ) as instance:
        write_files(fasta, {"moss/a.fa": A, "moss/b.fa": B})
        first = corpus.materialize(instance=instance)
        (fasta / "moss" / "b.fa").rename(fasta / "moss" / "moved.fa")
        write_files(fasta, {"moss/a.fa": f"{A}>a3\nAAAAAAAAAA\n", "fern/c.fa": C})
        second = corpus.materialize(MADE_AGAIN, instance=instance, sequence_shards={"min_length": 5})
        (fasta / "moss" / "moved.fa").rename(fasta / "moss" / "b.fa")
        (fasta / "fern" / "c.fa").unlink()
        write_files(fasta, {"moss/a.fa": A})
        third = corpus.materialize(MADE_AGAIN, instance=instance)
    return Story(corpus, (first.run_id, second.run_id, third.run_id))
