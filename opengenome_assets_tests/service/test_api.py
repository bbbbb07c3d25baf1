"""The API: what it answers is what the library finds, and what cannot be answered is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from opengenome_assets.search import SearchIndex, find_kmer, read_queries
from opengenome_assets.service import search as routes
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.service.conftest import FILES, QUERY, letters, serving


@pytest.fixture(scope="module")
def index(home: Path) -> SearchIndex:
    return SearchIndex.open(str(home))


def problem(answer: Any, status: int) -> str:
    """Return what a problem says, after a look at its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    assert content["title"]
    detail: str = content["detail"]
    return detail


def test_similar_is_what_the_library_finds_with_the_versions_searched(client: TestClient, index: SearchIndex) -> None:
    text = f">one\n{QUERY}\n>two a second\n{letters(500, 3).lower()}\n"
    options: dict[str, Any] = {"top_n": 7, "threshold": 0.01, "source": "plants", "sort": "containment"}
    answer = client.post("/api/similar", json={"queries": text, **options}).json()
    expected = index.similar(read_queries(text), **options)
    assert [[hit["seq_id"] for hit in result["hits"]] for result in answer["results"]] == [
        [hit.seq_id for hit in hits] for hits in expected
    ]
    assert answer["results"][0]["hits"] == [vars(hit) for hit in expected[0]]
    assert [(result["query"], result["length"]) for result in answer["results"]] == [("one", 300), ("two", 500)]
    assert answer["results"][0]["hits"][0]["seq_id"] == "plant7"
    assert (answer["sequences_searched"], answer["candidates"]) == (34, 34)
    assert answer["results"][0]["hits"][0]["containment"] == 1.0
    assert answer["searched"] == {
        "tfidf_index": index.version,
        "sequence_shards": 0,
        "data_version": index.data_version,
        "corpus": index.corpus,
    }


def test_records_that_cannot_be_searched_are_refused_by_name_and_the_others_searched(client: TestClient) -> None:
    text = f">empty\n>good\n{'ACGTTGCA' * 9}\n>short\nACG\n>odd\nAC!GT\n>again\n{'GATTACA' * 9}\n"
    answer = client.post("/api/similar", json={"queries": text}).json()
    assert [(each["query"], each["record"]) for each in answer["results"]] == [("good", 2), ("again", 5)]
    refused = {each["name"]: (each["record"], each["reason"]) for each in answer["refused"]}
    assert refused["empty"] == (1, "query empty: empty sequence")
    assert refused["short"][0] == 3
    assert "query short: no 6 letters in a row" in refused["short"][1]
    assert "query odd: illegal letter '!'" in refused["odd"][1]
    alone = client.post("/api/similar", json={"queries": ">empty\n>short\nACG\n"})
    assert (alone.status_code, alone.json()["detail"]) == (422, "query empty: empty sequence")


def test_no_hits_is_an_answer(client: TestClient) -> None:
    answer = client.post("/api/similar", json={"queries": "A" * 30, "threshold": 1})
    assert answer.status_code == 200
    assert answer.json()["results"] == [{"query": "query", "record": 1, "length": 30, "hits": []}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"queries": ""}, "found nothing"),
        ({"queries": "ACGTX" * 10}, "X"),
        ({"queries": "ACGUACGU"}, "U"),
        ({"queries": "ACG"}, "longer sequence"),
        ({"queries": QUERY, "source": "nowhere"}, "animals, more, plants"),
        ({"queries": QUERY, "top_n": 0}, "greater than or equal to 1, found 0"),
        ({"queries": QUERY, "top_n": 1001}, "at most 1,000 hits to be asked for, found 1,001"),
        ({"queries": QUERY, "threshold": 1.5}, "less than or equal to 1, found 1.5"),
        ({"queries": QUERY, "topn": 5}, "body.topn"),
        ({"queries": QUERY, "top_n": "3"}, "body.top_n: Input should be a valid integer, found '3'"),
        ({"queries": QUERY, "top_n": True}, "body.top_n: Input should be a valid integer, found True"),
        ({"queries": QUERY, "strand": "-"}, "body.strand: Input should be 'both' or 'given', found '-'"),
        ({"queries": QUERY, "sort": "identity"}, "body.sort: Input should be 'similarity' or 'containment'"),
        ({"queries": QUERY, "both_strands": True}, "body.both_strands"),
        ({"queries": 5}, "valid string, found 5"),
        ([], "body"),
    ],
)
def test_bad_queries_are_refused_with_what_was_expected_and_found(client: TestClient, body: Any, said: str) -> None:
    assert said in problem(client.post("/api/similar", json=body), 422)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: Field required"),
        (b"{", "body: Input should be JSON, found Expecting property name"),
        (b'{"queries": "ACGTACGT", "threshold": NaN}', "body.threshold"),
        (b'{"queries": "\\ud800ACGTACGT"}', "body.queries"),
        (b'{"queries": "ACGTACGT\xff"}', "Expected a body of JSON in UTF-8"),
    ],
)
def test_what_is_no_text_of_json_is_refused(client: TestClient, body: bytes, said: str) -> None:
    answer = client.post("/api/similar", content=body, headers={"Content-Type": "application/json"})
    assert said in problem(answer, 422)


def test_no_other_form_than_json_is_taken(client: TestClient) -> None:
    body = json.dumps({"queries": QUERY})
    answer = client.post("/api/similar", content=body, headers={"Content-Type": "text/plain"})
    assert "Content-Type: application/json" in problem(answer, 422)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("kmers/ACGT?mincount=2", "query.mincount: Parameter should be one of strand, min_count, source, limit"),
        ("kmers/ACGT?limit=1&limit=2", "query.limit: Parameter should be given once, found ['1', '2']"),
        ("sequences?seq_id=plant7&sources=plants", "query.sources: Parameter should be one of seq_id, source, file"),
        ("index?version=0", "query.version: Parameter should be left out: there is none here, found '0'"),
    ],
)
def test_parameters_that_would_not_count_are_refused(client: TestClient, path: str, said: str) -> None:
    assert said in problem(client.get(f"/api/{path}"), 422)


@pytest.mark.parametrize(
    "path", ["/", "/page/page.js", "/health/live", "/health/ready", "/api/index", "/api/kmers/ACGT", "/openapi.json"]
)
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == client.get(path).headers["content-type"]


def test_what_one_request_may_ask_for_is_bounded(home: Path) -> None:
    with serving(home, max_queries=2, max_bases=1000) as client:
        many = "".join(f">{number}\nACGTACGT\n" for number in range(3))
        assert "at most 2 sequences in one request, found 3" in problem(
            client.post("/api/similar", json={"queries": many}), 413
        )
        long = {"queries": f">a\n{'ACGT' * 200}\n>b\n{'ACGT' * 51}"}
        assert "at most 1,000 letters in one request, found 1,004" in problem(
            client.post("/api/similar", json=long), 413
        )
        assert client.get("/api/index").json()["limits"]["max_queries"] == 2


@pytest.mark.long
def test_the_hits_of_a_request_are_bounded_over_all_its_queries(home: Path) -> None:
    two = f">a\n{QUERY}\n>b\n{QUERY}\n"
    with serving(home, max_comparisons=40) as client:
        assert client.get("/api/index").json()["limits"]["max_comparisons"] == 40
        assert client.post("/api/similar", json={"queries": two, "top_n": 20}).status_code == 200
        said = problem(client.post("/api/similar", json={"queries": two, "top_n": 21}), 422)
        assert "at most 40 hits over all queries" in said
        assert "found 2 queries with up to 21 hits each. Ask for fewer hits" in said
        # To sort by containment, all 34 sequences are read for 4 hits.
        sorted_by = {"queries": two, "top_n": 4, "sort": "containment"}
        assert "found 2 queries with up to 34 hits each" in problem(client.post("/api/similar", json=sorted_by), 422)


def explain(client: TestClient, **changes: Any) -> Any:
    hit = {"seq_id": "plant7", "source": "plants", "file": "plants/plants.fasta"}
    return client.post("/api/explain", json={"query": f">mine\n{QUERY}", **hit, **changes})


def test_a_hit_is_explained(client: TestClient, index: SearchIndex) -> None:
    answer = explain(client).json()
    query_profile, hit_profile = (np.array(answer[name]) for name in ("query_profile", "hit_profile"))
    (hit,) = index.similar(read_queries(QUERY), top_n=1)[0]
    assert query_profile @ hit_profile == pytest.approx(hit.similarity, abs=1e-4)
    shares = [term["share"] for term in answer["terms"]]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 20
    assert answer["shared"] == int(np.count_nonzero(query_profile * hit_profile))
    assert all(term["kmer"] in QUERY for term in answer["terms"])


def test_what_is_no_hit_is_not_explained(client: TestClient) -> None:
    assert "plant99" in problem(explain(client, seq_id="plant99"), 404)
    assert "at most 1 sequence" in problem(explain(client, query=">a\nACGTACGT\n>b\nACGTACGT"), 413)
    problem(explain(client, strand="+"), 422)


def test_the_more_similar_strand_is_explained(client: TestClient) -> None:
    back = QUERY[::-1].translate(str.maketrans("ACGT", "TGCA"))
    both, given = (explain(client, query=back, strand=strand).json() for strand in ("both", "given"))
    assert (both["strand"], given["strand"]) == ("-", "+")
    assert both["terms"] == explain(client).json()["terms"]
    assert given["terms"] != both["terms"]


def test_kmers_are_what_the_library_finds(client: TestClient, home: Path) -> None:
    options: dict[str, Any] = {"strand": "both", "min_count": 2, "source": "plants", "limit": 3, "positions": 2}
    answer = client.get("/api/kmers/acgt", params=options).json()
    expected = find_kmer("ACGT", home=str(home), **options)
    assert [(hit["seq_id"], hit["count"]) for hit in answer["hits"]] == [(h.seq_id, h.count) for h in expected.hits]
    assert len(answer["hits"]) == 3
    assert answer["sequences"] == expected.sequences > 3
    assert answer["occurrences"] == expected.occurrences
    assert answer["hits"][0]["occurrences"] == [vars_of(each) for each in expected.hits[0].occurrences]
    assert (answer["kmer"], answer["version"], answer["data_version"]) == ("ACGT", 0, expected.data_version)


def vars_of(occurrence: Any) -> dict[str, Any]:
    return {"start": occurrence.start, "strand": occurrence.strand}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("A/C", "letter 2 of the k-mer is '/'"),
        ("ACGN", "letter 4 of the k-mer is 'N'"),
        ("A" * 32, "expected 1 to 31"),
        ("ACGT?limit=2000", "at most 1,000 hits"),
        ("ACGT?positions=101", "100"),
        ("ACGT?source=nowhere", "animals, more, plants"),
    ],
)
def test_bad_kmers_are_refused(client: TestClient, path: str, said: str) -> None:
    assert said in problem(client.get(f"/api/kmers/{path}"), 422)


def test_a_sequence_is_found_by_its_identifier_whatever_that_is(client: TestClient) -> None:
    answer = client.get("/api/sequences", params={"seq_id": "odd/../name"}).json()
    (record,) = answer["records"]
    sequence = FILES["animals/animals.fasta"]["odd/../name a difficult identifier"]
    assert record["gc_content"] == pytest.approx(sum(map(sequence.count, "GC")) / len(sequence))
    del record["gc_content"]
    assert record == {
        "seq_id": "odd/../name",
        "source": "animals",
        "file": "animals/animals.fasta",
        "description": "a difficult identifier",
        "length": 900,
    }
    assert "'nothing' in version 0" in problem(client.get("/api/sequences", params={"seq_id": "nothing"}), 404)


def fasta_of(client: TestClient, **parameters: Any) -> Any:
    return client.get("/api/sequences/fasta", params=parameters)


def test_letters_come_as_fasta_whole_and_in_part(client: TestClient) -> None:
    sequence = FILES["plants/plants.fasta"]["plant7 a plant, of file 1"]
    whole = fasta_of(client, seq_id="plant7")
    assert whole.headers["content-type"].startswith("text/x-fasta")
    assert whole.headers["opengenome-sequence-shards"] == "0"
    header, *lines = whole.text.splitlines()
    assert header == ">plant7 a plant, of file 1"
    assert "".join(lines) == sequence
    assert max(map(len, lines)) == 80
    part = fasta_of(client, seq_id="plant7", start=100, end=400)
    assert part.text == ">plant7 [100:400] a plant, of file 1\n" + "".join(
        f"{QUERY[place : place + 80]}\n" for place in range(0, 300, 80)
    )
    assert fasta_of(client, seq_id="plant7", start=700, end=10**15).text.endswith(f"\n{sequence[700:]}\n")


def test_letters_that_are_not_there_or_not_one_record_s_are_refused(client: TestClient) -> None:
    assert "707 letters of the record, found start=707 and end=707" in problem(
        fasta_of(client, seq_id="plant7", start=707), 422
    )
    assert "source animals, file animals/animals.fasta; source more" in problem(fasta_of(client, seq_id="twin"), 409)
    assert fasta_of(client, seq_id="twin", source="more").text.startswith(">twin in more\n")
    assert "of source 'plants'" in problem(fasta_of(client, seq_id="twin", source="plants"), 404)


def test_letters_are_given_within_limits(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(home, max_bases=300) as client:
        assert "at most 300 letters, found 707" in problem(fasta_of(client, seq_id="plant7"), 413)
        assert fasta_of(client, seq_id="plant7", start=100, end=400).status_code == 200
        monkeypatch.setattr(routes, "LONGEST_RECORD", 706)
        assert "at most 706" in problem(fasta_of(client, seq_id="plant7", start=100, end=400), 413)


def test_tables_and_what_is_searched_are_described(client: TestClient, home: Path) -> None:
    tables = {table["name"]: table for table in client.get("/api/tables").json()}
    assert tables["tfidf_index"]["rows"] == 34
    assert tables["tfidf_index"]["version"] == Home(str(home)).table("tfidf_index").history().current.number
    described = client.get("/api/index").json()
    assert described["sequences"] == 34
    assert described["sources"] == ["animals", "more", "plants"]
    assert len({example["seq_id"] for example in described["examples"]}) == 4
    assert (described["problem"], described["report"]) == (None, False)


def test_the_description_names_every_route_and_its_problems(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    jobs = ("/api/alignments/batch", "/api/samples", "/api/searches", "/api/uploads", "/api/jobs")
    assert all(any(path.startswith(beginning) for path in description["paths"]) for beginning in jobs)
    assert {path for path in description["paths"] if not path.startswith(jobs)} == {
        "/api/index",
        "/api/similar",
        "/api/explain",
        "/api/kmers/{kmer}",
        "/api/sequences",
        "/api/sequences/fasta",
        "/api/tables",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
    responses = description["paths"]["/api/similar"]["post"]["responses"]
    assert {"200", "413", "422", "429", "503"} <= set(responses)
    assert "application/problem+json" in responses["422"]["content"]


def test_the_page_and_its_parts_come_from_here_alone(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for part in ("page.css", "page.js", "api.js", "icon.svg"):
        answer = client.get(f"/page/{part}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        assert "://" not in answer.text.replace("http://www.w3.org/", "")
    assert "://" not in page.text
    problem(client.get("/page/../app.py"), 404)
    problem(client.get("/nothing"), 404)
    problem(client.get("/api/similar"), 405)


def test_other_sites_get_nothing(client: TestClient) -> None:
    answer = client.get("/api/index", headers={"Origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.options("/api/similar", headers={"Origin": "https://elsewhere.example"}).status_code == 405


def test_the_report_is_shown_once_it_is_there(home: Path, client: TestClient) -> None:
    problem(client.get("/report"), 404)
    report = home / "reports" / "corpus_report.html"
    report.parent.mkdir()
    report.write_text("<!DOCTYPE html><title>Report</title>")
    try:
        answer = client.get("/report")
        assert answer.text == report.read_text()
        assert "script-src" not in answer.headers["content-security-policy"]
        assert client.get("/api/index").json()["report"]
    finally:
        report.unlink()
        report.parent.rmdir()
