//! Workbooks: each sheet as a table under its name. Leaves out formulas, of which the last result is read, charts and
//! formats other than dates.

use std::{collections::BTreeMap, io::Cursor};

use calamine::{Data, DataRef, Reader as _, SheetVisible, Xlsx, XlsxError};

use crate::{Error, Format, Found, Limits, archive::Archive, core_properties, table::Table, text::Text};

/// Cells of a row that are read.
const WIDEST: u32 = 1024;

type Workbook<'a> = Xlsx<Cursor<&'a [u8]>>;

/// Reads a workbook.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
    let mut archive = Archive::open(bytes, Format::Xlsx, limits)?;
    archive.check_all()?;
    let mut workbook: Workbook<'_> = Xlsx::new(Cursor::new(bytes)).map_err(broken)?;
    let sheets: Vec<String> = workbook
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.visible == SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .collect();
    let (mut text, mut notes) = (Text::new(limits), Vec::new());
    for name in sheets.iter().take(limits.pages) {
        text.heading(2, name);
        match rows(&mut workbook, name, limits) {
            Ok(table) => text.block(&table),
            Err(error) => notes.push(format!("the sheet `{name}` was not read: {error}")),
        }
    }
    let mut found = text.into_found();
    found.notes.extend(notes);
    found.metadata.insert("sheets".to_owned(), sheets.into());
    core_properties::add(&mut archive, Format::Xlsx, limits, &mut found)?;
    Ok(found)
}

/// The cells of a sheet as they come: a sheet may claim any size and hold two cells.
fn rows(workbook: &mut Workbook<'_>, sheet: &str, limits: &Limits) -> Result<String, XlsxError> {
    let mut cells = workbook.worksheet_cells_reader(sheet)?;
    let (mut table, mut row, mut number) = (Table::default(), BTreeMap::new(), None);
    while let Some(cell) = cells.next_cell()? {
        let (at, column) = cell.get_position();
        if number != Some(at) {
            flush(&mut table, std::mem::take(&mut row));
            number = Some(at);
        }
        if table.len() > limits.text_bytes {
            break;
        }
        let words = words(cell.get_value());
        if !words.is_empty() && column < WIDEST {
            row.insert(column, words);
        }
    }
    flush(&mut table, row);
    Ok(table.finish())
}

fn flush(table: &mut Table, mut row: BTreeMap<u32, String>) {
    if let Some(last) = row.keys().next_back().copied() {
        table.row((0..=last).map(|column| row.remove(&column).unwrap_or_default()));
    }
}

fn words(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty => String::new(),
        DataRef::Bool(true) => "TRUE".to_owned(),
        DataRef::Bool(false) => "FALSE".to_owned(),
        DataRef::DateTime(moment) if moment.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            let date = format!("{year:04}-{month:02}-{day:02}");
            if (hour, minute, second) == (0, 0, 0) { date } else { format!("{date} {hour:02}:{minute:02}:{second:02}") }
        }
        value => Data::from(value.clone()).to_string(),
    }
}

fn broken(error: XlsxError) -> Error {
    match error {
        XlsxError::Password => Error::Encrypted { format: Format::Xlsx },
        error => Error::broken(Format::Xlsx, error),
    }
}
