//! Every copy of every node beside the database.

use serde::Serialize;

use super::PER_SHELF;
use super::catalogue::Row;
use super::message::{Copies, CopyTier, Shelf};

/// Descriptions of copies that differ.
const DESCRIBED: usize = 10;

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Compared {
    /// Copies in near caches.
    pub(super) near: u64,
    /// Copies in the tier behind them.
    pub(super) remote: u64,
    /// Those among all of them that say that there is no such product.
    pub(super) negative: u64,
    /// Those that differ from the database.
    pub(super) wrong: u64,
    /// The first of these.
    pub(super) described: Vec<String>,
}

impl Compared {
    pub(super) fn all(&self) -> u64 {
        self.near + self.remote
    }

    /// Compares the copies of a node with all rows of the database.
    pub(super) fn add(&mut self, node: &str, copies: &[Copies], rows: &[Row]) {
        for copies in copies {
            let tier = copies.tier;
            for copy in &copies.products {
                let row = rows.get(copy.id as usize);
                self.negative += u64::from(copy.row.product.is_none());
                self.count(tier, row == Some(&copy.row), || {
                    let database = row.map_or(0, |row| row.version);
                    let (id, shown) = (copy.id, copy.row.version);
                    format!("{node}: product {id} shows change {shown}, the database {database}")
                });
            }
            for copy in &copies.shelves {
                let shelf = shelf(copy.id, rows);
                self.count(tier, shelf == copy.shelf, || {
                    let (id, shown, database) = (copy.id, &copy.shelf.versions, &shelf.versions);
                    format!("{node}: shelf {id} shows {shown:?}, the database {database:?}")
                });
            }
        }
    }

    fn count(&mut self, tier: CopyTier, is_right: bool, what: impl FnOnce() -> String) {
        match tier {
            CopyTier::Near => self.near += 1,
            CopyTier::Remote => self.remote += 1,
        }
        if is_right {
            return;
        }
        self.wrong += 1;
        if self.described.len() < DESCRIBED {
            let tier = match tier {
                CopyTier::Near => "near cache",
                CopyTier::Remote => "remote tier",
            };
            self.described.push(format!("{tier} of {}", what()));
        }
    }
}

/// What a shelf has to be.
fn shelf(id: u32, rows: &[Row]) -> Shelf {
    let first = (id * PER_SHELF) as usize;
    let rows = rows.get(first..first + PER_SHELF as usize);
    let rows = rows.unwrap_or_default();
    let price = |row: &Row| row.product.as_ref().map_or(0, |product| product.price);
    Shelf {
        versions: rows.iter().map(|row| row.version).collect(),
        worth: rows.iter().map(|row| u64::from(price(row))).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::catalogue::Product;
    use crate::demo::message::{ProductCopy, ShelfCopy};

    fn rows() -> Vec<Row> {
        let product = |id: u32| Product {
            name: format!("product {id}"),
            category: 1,
            price: id,
            text: String::new(),
        };
        let row = |id: u32| Row {
            version: i64::from(id) + 1,
            product: (id != 3).then(|| product(id)),
        };
        (0..20).map(row).collect()
    }

    #[test]
    fn copies_that_differ_in_anything_are_found_and_named() {
        let rows = rows();
        let copies = |tier, id: u32, row: Row| Copies {
            tier,
            products: vec![ProductCopy { id, row }],
            shelves: vec![ShelfCopy {
                id: 1,
                shelf: shelf(1, &rows),
            }],
        };
        let mut compared = Compared::default();
        let right = copies(CopyTier::Near, 3, rows[3].clone());
        compared.add("a", &[right], &rows);
        assert_eq!(
            (compared.near, compared.negative, compared.wrong),
            (2, 1, 0)
        );
        // The version is right, and the price is not.
        let mut row = rows[4].clone();
        row.product = rows[5].product.clone();
        let mut wrong = copies(CopyTier::Remote, 4, row);
        wrong.shelves[0].shelf.worth += 1;
        compared.add("b", &[wrong], &rows);
        assert_eq!((compared.remote, compared.wrong, compared.all()), (2, 2, 4));
        let said = "remote tier of b: product 4 shows change 5, the database 5";
        assert_eq!(compared.described[0], said);
    }

    #[test]
    fn a_shelf_is_what_its_products_make_of_it() {
        let shelf = shelf(0, &rows());
        assert_eq!(shelf.versions, (1..=10).collect::<Vec<_>>());
        assert_eq!(shelf.worth, 45 - 3);
    }
}
