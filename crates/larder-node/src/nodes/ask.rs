//! `larder nodes`: asks the running node over its RESP port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use bytes::BytesMut;
use larder_resp::{Reply, ReplyDecoder, write_command};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::cli::NodesArgs;
use crate::serve::{self, USAGE};
use crate::settings::RespSettings;

/// The node says no.
const REFUSED: u8 = 4;
/// The node cannot be reached.
const UNREACHABLE: u8 = 5;

/// How long a node on the network may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks; gives the exit code.
pub(crate) fn nodes(args: NodesArgs) -> ExitCode {
    let loaded = match serve::configure(args.node) {
        Ok(loaded) => loaded,
        Err(errors) => {
            serve::complain("error", &errors);
            return ExitCode::from(USAGE);
        }
    };
    serve::complain("warning", &loaded.warnings);
    let resp = &loaded.settings.resp;
    let request: Vec<&str> = match &args.connect {
        Some(address) => vec!["CACHE.NODES", "CONNECT", address],
        None => vec!["CACHE.NODES"],
    };
    let address = resp.addr;
    match ask(resp, &request) {
        Ok(Reply::Error(text)) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            serve::complain("error", &[format!("the node at {address} says: {text}")]);
            ExitCode::from(REFUSED)
        }
        Ok(_) if args.connect.is_some() => ExitCode::SUCCESS,
        Ok(reply) => {
            let rows = rows(&reply);
            print!(
                "{}",
                if args.json {
                    as_json(&rows)
                } else {
                    as_text(&rows)
                }
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            let line = format!("the node at {address} cannot be asked – {error} – is it running?");
            serve::complain("error", &[line]);
            ExitCode::from(UNREACHABLE)
        }
    }
}

fn ask(resp: &RespSettings, request: &[&str]) -> std::io::Result<Reply> {
    let address: SocketAddr = resp.addr;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut decoder = ReplyDecoder::default();
    let mut buffer = BytesMut::new();
    if let Some(password) = &resp.password {
        send(&mut stream, &["AUTH", password.expose_secret()])?;
        let reply = read(&mut stream, &mut decoder, &mut buffer)?;
        if let Reply::Error(_) = reply {
            return Ok(reply);
        }
    }
    send(&mut stream, request)?;
    read(&mut stream, &mut decoder, &mut buffer)
}

fn send(stream: &mut TcpStream, parts: &[&str]) -> std::io::Result<()> {
    let mut out = BytesMut::new();
    write_command(&mut out, parts);
    stream.write_all(&out)
}

fn read(
    stream: &mut TcpStream,
    decoder: &mut ReplyDecoder,
    buffer: &mut BytesMut,
) -> std::io::Result<Reply> {
    let mut piece = [0; 4096];
    loop {
        let broken = |error| std::io::Error::other(format!("it does not speak RESP: {error}"));
        if let Some(reply) = decoder.decode(buffer).map_err(broken)? {
            return Ok(reply);
        }
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => buffer.extend_from_slice(&piece[..count]),
        }
    }
}

/// What each node is said to be, as names and values in the order of the reply.
fn rows(reply: &Reply) -> Vec<Vec<(String, Value)>> {
    let Reply::Array(nodes) = reply else {
        return Vec::new();
    };
    let pairs = |node: &Reply| match node {
        Reply::Array(fields) => fields
            .chunks_exact(2)
            .map(|pair| (text(&pair[0]), value(&pair[1])))
            .collect(),
        _ => Vec::new(),
    };
    nodes.iter().map(pairs).collect()
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

fn value(reply: &Reply) -> Value {
    match reply {
        Reply::Integer(number) => json!(number),
        other => json!(text(other)),
    }
}

fn as_json(rows: &[Vec<(String, Value)>]) -> String {
    let node =
        |row: &Vec<(String, Value)>| Value::Object(row.iter().cloned().collect::<Map<_, _>>());
    let nodes: Vec<Value> = rows.iter().map(node).collect();
    format!("{}\n", json!({ "nodes": nodes }))
}

fn as_text(rows: &[Vec<(String, Value)>]) -> String {
    let Some(first) = rows.first() else {
        return "this node is in no mesh\n".into();
    };
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines: Vec<Vec<String>> =
        vec![first.iter().map(|(name, _)| name.to_uppercase()).collect()];
    lines.extend(
        rows.iter()
            .map(|row| row.iter().map(|(_, value)| shown(value)).collect()),
    );
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..first.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}
