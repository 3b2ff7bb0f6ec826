from pathlib import Path

import pytest

from flask_app.data.dataset import COLUMNS, Dataset, parse_columns, read_csv, size_of, to_csv
from flask_app.errors import DataError, SettingError

HEADER = (
    "Record_ID,Auction_ID,Bidder_ID,Bidder_Tendency,Bidding_Ratio,Successive_Outbidding,"
    "Last_Bidding,Auction_Bids,Starting_Price_Average,Early_Bidding,Winning_Ratio,"
    "Auction_Duration,Class"
)
HONEST = "1,732,a***b,0.2,0.4,0,0.25,0,0.99,0.125,0.5,5,0"
SHILL = "2,732,c***d,0.7,0.6,1,0.75,0,0.99,0.5,1,5,1"
OTHER = "3,732,e***f,0.7,0.6,1,0.75,0,0.99,0.5,1,5,1"


def _write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_published_form_becomes_typed_columns_in_order(tmp_path: Path) -> None:
    frame = read_csv(_write(tmp_path / "a.csv", HEADER, HONEST, SHILL)).frame
    assert tuple(frame.columns) == COLUMNS
    assert [str(kind) for kind in frame.dtypes] == ["str", "str", *["float64"] * 9, "int8"]
    assert frame.iloc[1].tolist() == [
        *["732", "c***d", 0.7, 0.6, 1.0, 0.75, 0.0, 0.99, 0.5, 1.0, 5.0, 1]
    ]


def test_the_header_may_be_in_any_case_and_order_and_lack_the_record_number(tmp_path: Path) -> None:
    lines = [HEADER, HONEST, SHILL]
    plain = read_csv(_write(tmp_path / "a.csv", *lines)).frame
    turned = [",".join(reversed(line.split(",")[1:])) for line in lines]
    assert read_csv(_write(tmp_path / "b.csv", turned[0].upper(), *turned[1:])).frame.equals(plain)


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\r\n".join([f"\ufeff{HEADER}", "", HONEST, "", SHILL, ""]).encode())
    assert len(read_csv(path).frame) == 2


def test_what_is_written_reads_back_exactly(tmp_path: Path) -> None:
    frame = read_csv(
        _write(tmp_path / "a.csv", HEADER, HONEST.replace("0.25", "1e-7"), SHILL)
    ).frame
    frame["bidding_ratio"] /= 3
    (tmp_path / "b.csv").write_bytes(to_csv(frame))
    assert read_csv(tmp_path / "b.csv").frame.equals(frame)


def test_a_record_counts_as_often_as_its_weight_says(tmp_path: Path) -> None:
    lines = HEADER + ",Weight,Reviewer", HONEST + ",3,eve", SHILL + ",1.4,eve", OTHER + ",1.6,bob"
    dataset = read_csv(_write(tmp_path / "a.csv", *lines))
    assert dataset.repeated()["bidder_id"].tolist() == ["a***b"] * 3 + ["c***d"] + ["e***f"] * 2
    assert tuple(dataset.repeated().columns) == COLUMNS
    assert size_of(dataset.frame) == "3 records of 1 auctions, which stand for 6, 50.0% shill"
    (tmp_path / "b.csv").write_bytes(to_csv(dataset.frame))
    assert read_csv(tmp_path / "b.csv").frame.equals(dataset.frame)


def test_a_file_of_the_users_own_is_called_custom_and_known_by_its_bytes(tmp_path: Path) -> None:
    one = read_csv(_write(tmp_path / "a.csv", HEADER, HONEST, SHILL))
    other = read_csv(_write(tmp_path / "b.csv", HEADER, SHILL, HONEST))
    assert one.name == other.name == "custom"
    assert one.sha256 != other.sha256


@pytest.mark.uci
def test_the_real_data_is_known_by_its_bytes_and_whole(uci: Dataset) -> None:
    assert uci.name == "uci562"
    assert len(uci.frame) == 6321
    assert uci.frame["auction_id"].nunique() == 807
    assert uci.frame["is_shill"].sum() == 675


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([""], "row 1: no column Auction_ID, Bidder_ID, .*, Class: add it"),
        ([HEADER], "no records: give a file"),
        ([HEADER.replace(",Class", ""), HONEST], "row 1: no column Class: add it"),
        ([HEADER + ",Colour", HONEST + ",red"], "row 1: unknown column 'Colour': remove it"),
        ([HEADER + ",class", HONEST + ",0"], "row 1: column 'class' occurs twice: remove one"),
        ([HEADER, HONEST, SHILL + ",7"], "row 3: 14 values where the header names 13: complete"),
        (
            [HEADER, "", HONEST, SHILL.replace("0.75", "late")],
            "row 4, column Last_Bidding: 'late' is not a number: correct it",
        ),
        (
            [HEADER, HONEST.replace("0.4", "nan"), SHILL],
            "row 2, column Bidding_Ratio: 'nan' is not a number: correct it",
        ),
        (
            [HEADER, HONEST, SHILL.replace("0.6", "1.7")],
            "row 3, column Bidding_Ratio: '1.7' is above the maximum 1: correct it",
        ),
        (
            [HEADER, HONEST.replace("0.2", "-0.1"), SHILL],
            "row 2, column Bidder_Tendency: '-0.1' is below the minimum 0: correct it",
        ),
        (
            [HEADER, HONEST.replace(",5,", ",0,"), SHILL],
            "row 2, column Auction_Duration: '0' is not above 0: correct it",
        ),
        (
            [HEADER, HONEST.replace(",5,", ",inf,"), SHILL],
            "row 2, column Auction_Duration: 'inf' is above the maximum 366: correct it",
        ),
        (
            [HEADER, HONEST[:-1] + "2", SHILL],
            "row 2, column Class: '2' is neither 0 nor 1: correct it",
        ),
        (
            [HEADER, HONEST.replace("a***b", " "), SHILL],
            "row 2, column Bidder_ID: '' is empty: fill it in",
        ),
        (
            [HEADER, HONEST.replace("a***b", "a" * 129), SHILL],
            "row 2, column Bidder_ID: 'a+' is longer than 128: shorten it",
        ),
        (
            [HEADER, HONEST, SHILL, SHILL],
            r"row 4, column Bidder_ID: 'c\*\*\*d' occurs earlier in this auction: keep one record",
        ),
        (
            [HEADER + ",Weight", HONEST + ",1", SHILL + ",0.5"],
            "row 3, column Weight: '0.5' is no number from 1 to 1000000: correct it",
        ),
        ([HEADER, HONEST], "every record is of class 0: give records of both classes"),
        ([HEADER, HONEST[:-1] + '"0"x', SHILL], "not CSV in UTF-8 .*: export it again"),
    ],
)
def test_a_faulty_file_is_refused_with_row_column_value_and_remedy(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        read_csv(_write(tmp_path / "a.csv", *lines))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(f"{HEADER}\n{HONEST}".replace("a***b", "é").encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.csv: not CSV in UTF-8"):
        read_csv(tmp_path / "a.csv")


def test_an_absent_file_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: No such file or directory: give the path"):
        read_csv(tmp_path / "nowhere.csv")


def test_columns_may_be_named_otherwise_among_others(tmp_path: Path) -> None:
    lines = [HEADER, HONEST, SHILL]
    plain = read_csv(_write(tmp_path / "a.csv", *lines)).frame
    header = HEADER.replace("Auction_ID", "Lot").replace("Class", "Fraud")
    wider = [f"{line},{more}" for line, more in zip([header, *lines[1:]], "cde", strict=True)]
    columns = parse_columns("auction_id=LOT, is_shill=fraud")
    assert read_csv(_write(tmp_path / "b.csv", *wider), columns=columns).frame.equals(plain)


@pytest.mark.parametrize(
    "text", ["auction_id", "=lot", "auction_id=", "bid=x", "bidder_id=a,bidder_id=b"]
)
def test_a_mapping_of_columns_that_cannot_be_right_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"SHILL_DATASET_COLUMNS: .* is no NAME=COLUMN"):
        parse_columns(text)
