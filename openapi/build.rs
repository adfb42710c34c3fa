//! Packs what the server serves as it is, the OpenAPI document and the page that shows it: compressed as well as
//! possible, once, because a server that compresses for each reader wastes time and memory.

use std::{
    borrow::Cow,
    collections::hash_map::DefaultHasher,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    hash::{Hash as _, Hasher as _},
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// Path, media type and source: a file of this folder, without the indentation of JSON, or one of Swagger UI.
const ASSETS: [(&str, &str, Source); 5] = [
    ("/openapi.json", "application/json", Source::Json("openapi.json")),
    ("/docs", "text/html; charset=utf-8", Source::Folder("docs.html")),
    ("/docs/start.js", "text/javascript; charset=utf-8", Source::Folder("docs.js")),
    ("/docs/swagger-ui.js", "text/javascript; charset=utf-8", Source::SwaggerUi("/dist/swagger-ui-bundle.js")),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8", Source::SwaggerUi("/dist/swagger-ui.css")),
];

enum Source {
    Json(&'static str),
    Folder(&'static str),
    SwaggerUi(&'static str),
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=openapi");
    let target = env::var("OUT_DIR")?;
    let mut list = String::from("[\n");
    for (path, media_type, source) in ASSETS {
        let plain = match source {
            Source::Json(name) => {
                let indented: Value = serde_json::from_slice(&fs::read(Path::new("openapi").join(name))?)?;
                serde_json::to_vec(&indented)?
            }
            Source::Folder(name) => fs::read(Path::new("openapi").join(name))?,
            Source::SwaggerUi(name) => of_swagger_ui(name)?,
        };
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        let tag = hasher.finish();
        let file = Path::new(&target).join(path.trim_start_matches('/').replace('/', "-"));
        let include = |extension: &str, bytes: &[u8]| {
            let file = file.with_added_extension(extension);
            fs::write(&file, bytes).map(|()| format!("include_bytes!({:?})", file.display().to_string()))
        };
        let (gzip, brotli) = (include("gz", &gzipped(&plain)?)?, include("br", &brotli_of(&plain)?)?);
        let plain = include("plain", &plain)?;
        writeln!(
            list,
            "    Asset {{ path: {path:?}, media_type: {media_type:?}, tag: \"{tag:016x}\", plain: {plain}, gzip: {gzip}, brotli: {brotli} }},"
        )?;
    }
    fs::write(Path::new(&target).join("assets.rs"), list + "]\n")?;
    Ok(())
}

fn of_swagger_ui(name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let known = archive.file_names().flatten().find(|file| file.ends_with(name)).map(Cow::into_owned);
    let mut bytes = Vec::new();
    archive.by_name(&known.ok_or_else(|| format!("Swagger UI has no {name}"))?)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn gzipped(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

fn brotli_of(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    let best = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &*plain, &mut packed, &best)?;
    Ok(packed)
}
