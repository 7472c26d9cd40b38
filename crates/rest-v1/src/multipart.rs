//! `multipart/form-data` (RFC 7578), as much of it as clients of Routr v1 send: one part called `file`.

/// The content of the part `file`; `None` where there is none. `form` is the value of Content-Type.
pub(crate) fn file_in<'b>(form: &str, body: &'b str) -> Option<&'b str> {
    let boundary = form.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    // RFC 2046 §5.1.1.
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let mark = format!("--{boundary}");
    let mut parts = body.split(mark.as_str()).skip(1);
    parts.find_map(|part| {
        let part = part.strip_prefix("\r\n").or_else(|| part.strip_prefix('\n'))?;
        let (head, content) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n"))?;
        let is_file = head.lines().any(|line| {
            line.to_ascii_lowercase().starts_with("content-disposition:") && line.contains("name=\"file\"")
        });
        is_file.then(|| content.trim_end_matches(['\r', '\n']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_called_file() {
        let form = "multipart/form-data; boundary=\"x y\"";
        let body = "--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x y\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.yml\"\r\nContent-Type: text/yaml\r\n\r\n- a: 1\n- b: 2\r\n--x y--\r\n";
        assert_eq!(file_in(form, body), Some("- a: 1\n- b: 2"));
        for (form, body) in [
            ("multipart/form-data", body),
            ("multipart/form-data; boundary=", body),
            ("multipart/form-data; boundary=z", body),
            (form, "--x y--"),
            (form, "--x y\r\n\r\n"),
            (form, ""),
        ] {
            assert_eq!(file_in(form, body), None, "{form} {body}");
        }
    }
}
