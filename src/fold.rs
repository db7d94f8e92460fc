//! Many cells in few words: sets of axis values that are exactly those cells.
//!
//! A set of cells is taken apart into products (every combination of some values of each axis), so that whatever a
//! report says about a product is true of each of its cells and of no other.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::results::{Axes, AxisValue};

/// The axes of some cells, and the values that occur among them.
#[derive(Debug)]
pub struct Domain {
    axes: Vec<(String, Vec<AxisValue>)>,
    /// The cells, each by the places of its values, where products may reach across what is none of them.
    cells: Option<BTreeSet<Vec<Option<usize>>>>,
}

/// Every combination of the chosen values: for each axis of the [`Domain`], places in its list of values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Product(Vec<BTreeSet<usize>>);

impl Product {
    /// By the first cell; of two with the same first cell, the one that says more.
    pub fn order(&self) -> impl Ord + use<> {
        let first: Vec<Option<usize>> = self.0.iter().map(|values| values.first().copied()).collect();
        (first, self.0.iter().map(|values| Reverse(values.len())).collect::<Vec<_>>())
    }
}

impl Domain {
    /// The same, with products that may hold combinations which are no cell: fewer words for scenarios that have gaps.
    pub fn with_gaps<'a>(cells: impl IntoIterator<Item = &'a Axes> + Clone) -> Domain {
        let mut domain = Domain::of(cells.clone());
        domain.cells = Some(cells.into_iter().map(|cell| domain.places(cell).collect()).collect());
        domain
    }

    pub fn of<'a>(cells: impl IntoIterator<Item = &'a Axes>) -> Domain {
        let mut axes: Vec<(String, Vec<AxisValue>)> = Vec::new();
        for (axis, value) in cells.into_iter().flat_map(|cell| &cell.0) {
            match axes.iter_mut().find(|(name, _)| name == axis) {
                Some((_, values)) if values.contains(value) => {}
                Some((_, values)) => values.push(value.clone()),
                None => axes.push((axis.clone(), vec![value.clone()])),
            }
        }
        // Numbers and truth values in their order, texts as they came.
        for (_, values) in &mut axes {
            values.sort_by_key(|value| match value {
                AxisValue::Bool(value) => u32::from(*value),
                AxisValue::Number(value) => *value,
                AxisValue::Text(_) => 0,
            });
        }
        Domain { axes, cells: None }
    }

    /// The axes with more than one value.
    pub fn varying(&self) -> impl Iterator<Item = usize> {
        (0..self.axes.len()).filter(|&axis| self.axes[axis].1.len() > 1)
    }

    pub fn axis_name(&self, axis: usize) -> &str {
        &self.axes[axis].0
    }

    /// `protocol=5.0 retain=true`: what all cells have in common.
    pub fn constants(&self) -> String {
        let constants = self.axes.iter().filter(|(_, values)| values.len() == 1);
        constants.map(|(axis, values)| format!("{axis}={}", values[0])).collect::<Vec<_>>().join(" ")
    }

    /// The same cells as few products. Each order of merging gives another cover; a few are tried.
    pub fn fold<'a>(&self, cells: impl IntoIterator<Item = &'a Axes>) -> Vec<Product> {
        let points: Vec<Product> = cells.into_iter().map(|cell| self.point(cell)).collect();
        let forward: Vec<usize> = (0..self.axes.len()).collect();
        let mut best = self.cover(points.clone(), &forward);
        for turn in 0..forward.len() {
            let mut order = forward.clone();
            order.rotate_left(turn);
            for _ in 0..2 {
                let cover = self.cover(points.clone(), &order);
                if cover.len() < best.len() {
                    best = cover;
                }
                order.reverse();
            }
        }
        best.sort_by_key(Product::order);
        best
    }

    /// The values of one axis for a table: `any` for all of several. Versions of the protocol are always named.
    pub fn values(&self, product: &Product, axis: usize) -> String {
        let (name, values) = &self.axes[axis];
        match self.is_any(product, axis) && values.len() > 1 && name != "protocol" {
            true => "any".into(),
            false => self.texts(product, axis).join(" "),
        }
    }

    /// `clean_session=false publish_qos=1,2`, as `--filter` takes it; axes with every value are left out.
    pub fn describe(&self, product: &Product) -> String {
        let chosen = self.chosen(product).into_iter();
        chosen.map(|(axis, values)| format!("{axis}={}", values.join(","))).collect::<Vec<_>>().join(" ")
    }

    /// The axes that do not have every value, with the values that they have.
    pub fn chosen(&self, product: &Product) -> Vec<(String, Vec<String>)> {
        let chosen = (0..self.axes.len()).filter(|&axis| !self.is_any(product, axis));
        chosen.map(|axis| (self.axis_name(axis).to_owned(), self.texts(product, axis))).collect()
    }

    /// True if the cell is one of the product's.
    pub fn holds(&self, product: &Product, cell: &Axes) -> bool {
        self.places(cell).zip(&product.0).all(|(place, values)| match place {
            Some(place) => values.contains(&place),
            None => values.is_empty(),
        })
    }

    /// The cell among the others, by its values.
    pub fn order(&self, cell: &Axes) -> impl Ord + use<> {
        self.places(cell).collect::<Vec<_>>()
    }

    fn texts(&self, product: &Product, axis: usize) -> Vec<String> {
        product.0[axis].iter().map(|&value| self.axes[axis].1[value].to_string()).collect()
    }

    fn is_any(&self, product: &Product, axis: usize) -> bool {
        product.0[axis].len() == self.axes[axis].1.len()
    }

    fn point(&self, cell: &Axes) -> Product {
        Product(self.places(cell).map(|place| place.into_iter().collect()).collect())
    }

    fn places(&self, cell: &Axes) -> impl Iterator<Item = Option<usize>> {
        self.axes.iter().map(|(axis, values)| {
            let value = cell.get(axis);
            values.iter().position(|known| Some(known) == value)
        })
    }

    /// Merges products, also across combinations that are no cell.
    fn cover(&self, products: Vec<Product>, order: &[usize]) -> Vec<Product> {
        let mut merged = merge(products, order);
        loop {
            let before = merged.len();
            merged.iter_mut().for_each(|product| self.widen(product));
            merged = merge(merged, order);
            if merged.len() == before {
                return merged;
            }
        }
    }

    /// Takes in every value of an axis where that brings no further cell.
    fn widen(&self, product: &mut Product) {
        let Some(cells) = &self.cells else { return };
        for axis in self.varying() {
            let has = |place: &Option<usize>, values: &BTreeSet<usize>| place.is_some_and(|p| values.contains(&p));
            let near = |cell: &&Vec<Option<usize>>| {
                let mut others = cell.iter().zip(&product.0).enumerate().filter(|(other, _)| *other != axis);
                others.all(|(_, (place, values))| has(place, values))
            };
            if cells.iter().filter(near).all(|cell| has(&cell[axis], &product.0[axis])) {
                product.0[axis] = (0..self.axes[axis].1.len()).collect();
            }
        }
    }
}

fn merge(mut products: Vec<Product>, order: &[usize]) -> Vec<Product> {
    loop {
        let before = products.len();
        for &axis in order {
            products = merge_along(products, axis);
        }
        if products.len() == before {
            return products;
        }
    }
}

/// Joins products that differ in nothing but one axis.
fn merge_along(products: Vec<Product>, axis: usize) -> Vec<Product> {
    let mut merged: Vec<Product> = Vec::new();
    let mut places: HashMap<Product, usize> = HashMap::new();
    for mut product in products {
        let values = std::mem::take(&mut product.0[axis]);
        let place = *places.entry(product.clone()).or_insert_with(|| {
            merged.push(product);
            merged.len() - 1
        });
        merged[place].0[axis].extend(values);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(qos: u32, retain: bool) -> Axes {
        Axes(vec![("qos".into(), AxisValue::Number(qos)), ("retain".into(), AxisValue::Bool(retain))])
    }

    fn describe(all: &[Axes], some: &[Axes]) -> Vec<String> {
        let domain = Domain::of(all);
        domain.fold(some).iter().map(|product| domain.describe(product)).collect()
    }

    fn every_cell() -> Vec<Axes> {
        [0, 1, 2].into_iter().flat_map(|qos| [cell(qos, true), cell(qos, false)]).collect()
    }

    #[test]
    fn everything_needs_no_words() {
        assert_eq!(describe(&every_cell(), &every_cell()), [""]);
    }

    #[test]
    fn a_product_is_one_phrase() {
        let some = [cell(2, false), cell(1, true), cell(2, true), cell(1, false)];
        assert_eq!(describe(&every_cell(), &some), ["qos=1,2"]);
    }

    #[test]
    fn what_is_no_product_takes_several() {
        let some = [cell(0, false), cell(1, true), cell(2, true), cell(1, false), cell(2, false)];
        assert_eq!(describe(&every_cell(), &some), ["retain=false", "qos=1,2 retain=true"]);
    }

    #[test]
    fn what_is_no_cell_needs_no_words() {
        let without_0_true: Vec<Axes> = every_cell().into_iter().filter(|axes| *axes != cell(0, true)).collect();
        let domain = Domain::with_gaps(&without_0_true);
        let describe = |some: &[Axes]| domain.describe(&domain.fold(some)[0]);
        assert_eq!(describe(&[cell(1, true), cell(2, true)]), "retain=true");
        assert_eq!(describe(&[cell(0, false)]), "qos=0");
    }

    #[test]
    fn a_single_cell_is_named_by_what_varies() {
        assert_eq!(describe(&[cell(1, true), cell(2, true)], &[cell(2, true)]), ["qos=2"]);
    }

    /// Whatever the set, its products hold its cells and no other.
    #[test]
    fn products_are_exact() {
        let all = every_cell();
        let domain = Domain::of(&all);
        for bits in 0..64u32 {
            let some: Vec<&Axes> = all.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, c)| c).collect();
            let products = domain.fold(some.iter().copied());
            for axes in &all {
                let times = products.iter().filter(|product| domain.holds(product, axes)).count();
                assert_eq!(times, usize::from(some.contains(&axes)), "{bits:b}");
            }
        }
    }
}
