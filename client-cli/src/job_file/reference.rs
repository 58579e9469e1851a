//! The tables of `docs/jobs.md`, made of the shapes that the reader reads by.

use super::{
    shape::{Holds, Shape},
    shapes::ALL,
};

/// Returns a text with every table between marks made anew; what stands around them is kept.
///
/// A mark is `<!-- fields: NAME -->`, and `<!-- end -->` ends what belongs to it.
///
/// # Errors
/// A mark that names no shape, or that does not end.
pub(crate) fn rewritten(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, marked)) = rest.split_once(BEGIN) {
        let (name, inside) =
            marked.split_once(" -->\n").ok_or("a mark without its end on the same line")?;
        let shape = ALL.into_iter().find(|shape| shape.name == name);
        let shape = shape.ok_or_else(|| format!("no shape is called `{name}`"))?;
        let (_, after) =
            inside.split_once(END).ok_or_else(|| format!("`{name}` has no `{END}`"))?;
        out.push_str(&format!("{before}{BEGIN}{name} -->\n{}{END}", table(shape)));
        rest = after;
    }
    Ok(out + rest)
}

/// Returns the names of the shapes that a text has tables of.
pub(crate) fn told_in(text: &str) -> Vec<&str> {
    let marks = text.split(BEGIN).skip(1);
    let mut told: Vec<&str> = marks.filter_map(|mark| mark.split(" -->").next()).collect();
    for name in told.clone() {
        let inlined = ALL.iter().filter(|shape| shape.name == name).flat_map(|shape| shape.fields);
        told.extend(inlined.filter_map(|field| inline(field.holds)).map(|shape| shape.name));
    }
    told
}

fn table(shape: &Shape) -> String {
    let mut table = "| field | what it holds | default |\n|---|---|---|\n".to_owned();
    rows(shape, "", &mut table);
    table
}

fn rows(shape: &Shape, before: &str, table: &mut String) {
    for field in shape.fields {
        if let Some(inner) = inline(field.holds) {
            rows(inner, &format!("{before}{}.", field.name), table);
        } else {
            let (name, about, default) = (field.name, field.about, field.default);
            table.push_str(&format!("| `{before}{name}` | {about} | {default} |\n"));
        }
    }
}

/// Returns a shape that has no table of its own: its fields stand in the table around it.
fn inline(holds: Holds) -> Option<&'static Shape> {
    let Holds::Fields(shape) = holds else { return None };
    INLINE.contains(&shape.name).then_some(shape)
}

const BEGIN: &str = "<!-- fields: ";
const END: &str = "<!-- end -->";
const INLINE: [&str; 2] = ["commit", "publish"];
