//! Vectors on SQLite: coarse codes in sqlite-vec's tables, one partition per shelf, compared exactly afterwards.
//!
//! A table for each length of vectors holds one bit per number. sqlite-vec looks through the codes of a shelf that is
//! not large. It picks the nearest by going over all codes once for each result, so large shelves, and searches among
//! some of the vectors only, look through the same blocks here. The layout of the blocks is that of the release of
//! sqlite-vec that `Cargo.toml` pins; a test compares both ways.

use std::collections::{BTreeMap, HashSet};

use super::{
    codes::{self, Scan},
    dialect,
    nearest::{Shelf, oversample, read_shelf, shelves},
    record::{ChunkKey, Hit, VectorQuery},
    sql::Statement,
    text::better,
};
use crate::{Error, dialect::sqlite::SqliteSession, value::Value};

/// Larger shelves are looked through here: by then picking costs sqlite-vec more than comparing.
const LARGE_SHELF: u64 = 10_000;
/// When a filter lets fewer than so many times the wanted results through, the search is done among what it allows.
const ENOUGH: usize = 4;

const EXACT: &str = "SELECT p.digest, s.namespace_key, v.vector FROM vector_places p \
     JOIN vector_shelves s ON s.shelf_key = p.shelf_key \
     JOIN vectors v ON v.model_key = s.model_key AND v.digest = p.digest WHERE p.place_key = $1";

fn table(dimension: usize) -> String {
    format!("vector_codes_{dimension}")
}

pub(super) fn make_index(dimension: usize) -> String {
    let (table, bits) = (table(dimension), codes::code_bytes(dimension) * 8);
    format!(
        "CREATE VIRTUAL TABLE IF NOT EXISTS {table} USING vec0 \
         (place_key INTEGER PRIMARY KEY, shelf_key INTEGER PARTITION KEY, code BIT[{bits}])"
    )
}

pub(super) fn add_code(dimension: usize) -> String {
    format!("INSERT INTO {} (place_key, shelf_key, code) VALUES ($1, $2, vec_bit($3))", table(dimension))
}

pub(super) fn drop_code(dimension: usize) -> String {
    format!("DELETE FROM {} WHERE place_key = $1", table(dimension))
}

/// The nearest chunks, best first.
pub(super) fn nearest(session: &SqliteSession, query: &VectorQuery) -> Result<Vec<Hit>, Error> {
    session.snapshot(|| {
        let wanted = shelves(query);
        let shelves = session.rows(&wanted.sql, &wanted.params)?.into_iter().map(read_shelf);
        let shelves = shelves.collect::<Result<Vec<_>, _>>()?;
        let look = Look { session, query, code: codes::code(&query.vector), candidates: oversample(query.limit) };
        look.hits(&shelves)
    })
}

/// One search.
struct Look<'a> {
    session: &'a SqliteSession,
    query: &'a VectorQuery,
    code: Vec<u8>,
    candidates: usize,
}

impl Look<'_> {
    fn hits(&self, shelves: &[Shelf]) -> Result<Vec<Hit>, Error> {
        let mut candidates = Vec::new();
        for shelf in shelves {
            candidates.extend(self.coarse(shelf)?);
        }
        let everything = shelves.iter().map(|shelf| shelf.vectors).sum::<u64>() <= candidates.len() as u64;
        let enough = if self.query.filter.narrows() { self.query.limit * ENOUGH } else { self.query.limit };
        let mut hits = self.exact(&candidates, enough)?;
        if self.query.filter.narrows() && !everything && hits.len() < enough {
            hits = self.exact(&self.among_allowed(shelves)?, self.query.limit)?;
        }
        hits.truncate(self.query.limit);
        Ok(hits)
    }

    /// The places whose codes are nearest.
    fn coarse(&self, shelf: &Shelf) -> Result<Vec<i64>, Error> {
        if shelf.vectors > LARGE_SHELF {
            return self.scan(&[*shelf], |_| true);
        }
        let sql = format!(
            "SELECT place_key FROM {} WHERE code MATCH vec_bit($1) AND shelf_key = $2 AND k = $3",
            table(self.query.model.dimension)
        );
        let params = [self.code.as_slice().into(), shelf.key.into(), self.candidates.into()];
        self.session.rows(&sql, &params)?.into_iter().map(|mut row| row.int()).collect()
    }

    /// The same, by looking through the blocks.
    fn scan(&self, shelves: &[Shelf], allowed: impl Fn(i64) -> bool) -> Result<Vec<i64>, Error> {
        let table = table(self.query.model.dimension);
        let sql = format!(
            "SELECT b.rowids, b.validity, v.vectors FROM {table}_chunks b \
             JOIN {table}_vector_chunks00 v ON v.rowid = b.chunk_id WHERE b.partition00 = $1"
        );
        let mut scan = Scan::new(&self.code, self.candidates);
        for shelf in shelves {
            self.session.each(&sql, &[shelf.key.into()], |row| {
                let (keys, in_use) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
                scan.block(keys, in_use, row.get_ref(2)?.as_blob()?, &allowed);
                Ok(())
            })?;
        }
        Ok(scan.keys())
    }

    /// The places that the filter allows; when they are many, the ones among them whose codes are nearest.
    fn among_allowed(&self, shelves: &[Shelf]) -> Result<Vec<i64>, Error> {
        let mut statement = Statement::new(
            "SELECT DISTINCT p.place_key FROM documents d JOIN memory_namespaces n ON n.namespace_key = d.namespace_key \
             JOIN chunks c ON c.document_key = d.document_key JOIN vector_places p ON p.digest = c.digest \
             JOIN vector_shelves s ON s.shelf_key = p.shelf_key AND s.namespace_key = c.namespace_key WHERE ",
        );
        statement.any_of("s.shelf_key", shelves.iter().map(|shelf| shelf.key)).text(" AND ");
        statement.filter(&self.query.filter);
        let rows = self.session.rows(&statement.sql, &statement.params)?;
        let allowed = rows.into_iter().map(|mut row| row.int()).collect::<Result<HashSet<_>, _>>()?;
        if allowed.len() <= self.candidates {
            return Ok(allowed.into_iter().collect());
        }
        self.scan(shelves, |place| allowed.contains(&place))
    }

    /// Compares candidates exactly and finds the chunks that have these texts and pass the filter.
    fn exact(&self, candidates: &[i64], enough: usize) -> Result<Vec<Hit>, Error> {
        let mut texts = BTreeMap::new();
        for place in candidates {
            self.session.each(EXACT, &[(*place).into()], |row| {
                let score = dialect::product(&self.query.vector, row.get_ref(2)?.as_blob()?);
                texts.insert(*place, (score, row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?));
                Ok(())
            })?;
        }
        let mut texts: Vec<_> = texts.into_values().collect();
        texts.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut chunks = Statement::new("SELECT c.chunk_key FROM chunks c ");
        chunks.text("JOIN documents d ON d.document_key = c.document_key WHERE c.digest = ").value(&b""[..]);
        chunks.text(" AND c.namespace_key = ").value(0_i64).narrow(&self.query.filter);
        let mut hits: Vec<Hit> = Vec::new();
        for (score, digest, namespace_key) in texts {
            // Texts of equal score are all looked up, so that which of them comes first does not hang on a place.
            if hits.len() >= enough && hits.last().is_some_and(|last| last.score > score) {
                break;
            }
            chunks.params.splice(..2, [Value::Bytes(digest.into()), namespace_key.into()]);
            for mut row in self.session.rows(&chunks.sql, &chunks.params)? {
                hits.push(Hit { chunk: ChunkKey(row.int()?), score, matched: Vec::new() });
            }
        }
        hits.sort_by(better);
        Ok(hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::sqlite::{BUSY, Location, Setup};
    use masque_types::memory::EmbeddingModel;

    /// The layout of the blocks is sqlite-vec's own affair: this notices when it is another one.
    #[test]
    fn both_ways_of_looking_find_the_same() {
        let session = Setup { location: Location::Memory, busy: BUSY }.open_writer().unwrap();
        session.batch(&make_index(64)).unwrap();
        let code = |number: i64| {
            let mixed = number.wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(17);
            (mixed ^ mixed << 21).to_le_bytes()
        };
        for place in 0..3_000_i64 {
            let params = [place.into(), (place % 3).into(), Value::Bytes(code(place).to_vec().into())];
            session.run(&add_code(64), &params).unwrap();
        }
        for place in (0..3_000_i64).step_by(7) {
            session.run(&drop_code(64), &[place.into()]).unwrap();
        }
        let query = VectorQuery {
            filter: crate::MemoryFilter::default(),
            model: EmbeddingModel { name: "m".to_owned(), dimension: 64 },
            vector: Vec::new(),
            limit: 1,
        };
        for number in [5, 700, 90_000] {
            let code = code(number).to_vec();
            let look = Look { session: &session, query: &query, code: code.clone(), candidates: 40 };
            let distance = |place: &i64| -> u32 {
                let mixed = place.wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(17);
                (mixed ^ mixed << 21)
                    .to_le_bytes()
                    .iter()
                    .zip(&code)
                    .map(|(one, other)| (one ^ other).count_ones())
                    .sum()
            };
            let sorted = |places: Vec<i64>| {
                let mut distances: Vec<_> = places.iter().map(distance).collect();
                distances.sort_unstable();
                distances
            };
            let by_extension = look.coarse(&Shelf { key: 1, vectors: 1 }).unwrap();
            let by_scan = look.coarse(&Shelf { key: 1, vectors: LARGE_SHELF + 1 }).unwrap();
            let mut by_hand: Vec<i64> = (0..3_000_i64).filter(|place| place % 3 == 1 && place % 7 != 0).collect();
            by_hand.sort_by_key(distance);
            by_hand.truncate(40);
            assert_eq!(sorted(by_extension), sorted(by_hand.clone()));
            assert_eq!(sorted(by_scan), sorted(by_hand));
        }
    }
}
