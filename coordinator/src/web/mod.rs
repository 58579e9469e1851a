//! The web page: its files, in the program, and nothing that they could send a browser elsewhere for.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};

/// One file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

macro_rules! assets {
    ($kind:literal: $($name:literal),+) => {
        &[$(Asset { name: $name, kind: $kind, content: include_bytes!(concat!("assets/", $name)) }),+]
    };
}

/// Answers with a file of the page; any path that is no file shows the page, which knows its views.
pub(crate) fn answer(path: &str, asked: &HeaderMap) -> Response<Body> {
    let asset = match path.strip_prefix(ASSETS_PATH) {
        Some(name) => ASSETS.iter().copied().flatten().find(|asset| asset.name == name),
        None => Some(&INDEX),
    };
    let Some(asset) = asset else {
        let mut response = Response::new(Body::from("there is no such file\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let tag = format!("\"{}\"", blake3::hash(asset.content).to_hex());
    let known =
        asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = Response::new(if known { Body::empty() } else { Body::from(asset.content) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).expect("hexadecimal digits"));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Below this lie the files.
const ASSETS_PATH: &str = "/assets/";

const INDEX: Asset = Asset {
    name: "index.html",
    kind: "text/html; charset=utf-8",
    content: include_bytes!("assets/index.html"),
};

const ASSETS: [&[Asset]; 3] = [
    assets!("text/javascript; charset=utf-8":
        "actions.js", "api.js", "app.js", "cases.js", "commit.js", "dialog.js", "dom.js", "events.js",
        "fold.js", "graph.js", "grid.js", "history.js", "job.js", "jobs.js", "logs.js", "past.js",
        "picture.js", "runs.js", "tabs.js", "targets.js", "tasks.js", "theme.js", "timeline.js", "txns.js", "words.js",
        "workers.js"),
    assets!("text/css; charset=utf-8": "style.css"),
    assets!("image/svg+xml": "favicon.svg"),
];

/// The page loads nothing from elsewhere, runs no script but its own files, and stands in no frame.
const HEADERS: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // Asked for again at every visit, and sent again only if it has changed.
    (header::CACHE_CONTROL, "no-cache"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/assets");
        let there: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served = ASSETS.iter().copied().flatten().chain([&INDEX]);
        let served: BTreeSet<String> = served.map(|asset| asset.name.to_owned()).collect();
        assert_eq!(there, served);
    }

    #[test]
    fn no_file_names_another_site_or_reads_markup() {
        for asset in ASSETS.iter().copied().flatten().chain([&INDEX]) {
            let text = std::str::from_utf8(asset.content).unwrap();
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for word in ["http://", "https://", "innerHTML", "outerHTML", "insertAdjacent", "eval("]
            {
                assert!(!text.contains(word), "{} in {}", word, asset.name);
            }
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let first = answer("/assets/words.js", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(answer("/assets/words.js", &asked).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer("/assets/../mod.rs", &asked).status(), StatusCode::NOT_FOUND);
        let view = answer("/jobs/nightly-a", &asked);
        assert_eq!(view.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }
}
