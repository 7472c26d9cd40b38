//! The query of a request, as the clients of Routr v1 write it: mostly without escapes.

/// The parameters that mean something.
const KNOWN: [&str; 5] = ["token", "filter", "page", "itemsPerPage", "now"];

/// What a query says.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `token`.
    pub token: Option<String>,
    /// `filter`, without what clients append to it.
    pub filter: Option<String>,
    /// `page`.
    pub page: Option<String>,
    /// `itemsPerPage`.
    pub items_per_page: Option<String>,
    /// `now=true`.
    pub now: bool,
}

impl std::fmt::Debug for Query {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("filter", &self.filter)
            .field("page", &self.page)
            .field("items_per_page", &self.items_per_page)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Query {
    /// Reads the part behind `?`. A filter may hold `&&` and `=` as they are, and the `&null` that some clients
    /// append is no part of it.
    pub fn read(text: &str) -> Query {
        let mut query = Query::default();
        // Name and value, the value with all `&` that did not begin a parameter.
        let mut found: Vec<(&str, String)> = Vec::new();
        for part in text.split('&') {
            let named = part.split_once('=').and_then(|(name, value)| {
                KNOWN.into_iter().find(|known| *known == name).map(|name| (name, value.to_owned()))
            });
            match (named, found.last_mut()) {
                (Some(named), _) => found.push(named),
                (None, Some(("filter", value))) => {
                    value.push('&');
                    value.push_str(part);
                }
                (None, _) => {}
            }
        }
        for (name, value) in found {
            match name {
                "token" => query.token = Some(unescape(&value)),
                "filter" => query.filter = Some(unescape(without_tail(&value))),
                "page" => query.page = Some(unescape(&value)),
                "itemsPerPage" => query.items_per_page = Some(unescape(&value)),
                _ => query.now = value == "true",
            }
        }
        query
    }
}

/// A filter without what clients append to it.
fn without_tail(filter: &str) -> &str {
    let mut rest = filter;
    loop {
        let shorter = rest.trim_end_matches('&');
        let shorter = shorter.strip_suffix("&null").unwrap_or(shorter);
        if shorter == rest {
            return rest;
        }
        rest = shorter;
    }
}

/// Escapes resolved. A plus is a space where the whole was escaped, and else the plus of a telephone number. Outside of quotes it is
/// a space in any case: some clients escape nothing else.
fn unescape(text: &str) -> String {
    let whole = ["%40", "%27", "%3D", "%3d"].iter().any(|escape| text.contains(escape));
    let whole = whole || has_plus_outside(text);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _, _) if whole => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Is there a plus outside of quotes and of regular expressions? Filters have none there.
fn has_plus_outside(text: &str) -> bool {
    let mut open = None;
    for c in text.chars() {
        match (open, c) {
            (None, '+') => return true,
            (None, '\'' | '"' | '/') => open = Some(c),
            (Some(end), c) if c == end => open = None,
            (None | Some(_), _) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_real_clients() {
        for (text, filter) in [
            ("token=T&filter=*", "*"),
            ("filter=@.a=='b'&token=T", "@.a=='b'"),
            ("token=T&filter=@.a=='b'&null", "@.a=='b'"),
            ("token=T&filter=@.a=='b'&", "@.a=='b'"),
            ("token=T&filter=@.a=='b'&&@.c=='d'", "@.a=='b'&&@.c=='d'"),
            ("token=T&filter=@.a=='b'&&@.c=='d'&null&", "@.a=='b'&&@.c=='d'"),
            ("filter=%40.a%3D%3D%27b+c%27&token=T", "@.a=='b c'"),
            ("filter=@.t=='tel:+1785'&token=T", "@.t=='tel:+1785'"),
            ("filter=@.a%20==%20'b+c'&token=T", "@.a == 'b+c'"),
            ("filter='sip.local'+in+@.d&token=T", "'sip.local' in @.d"),
            ("filter=@.n+in+['Ann+Lee',%22%2B1%22]&token=T", "@.n in ['Ann Lee',\"+1\"]"),
            ("filter=@.n=~/a+/&token=T", "@.n=~/a+/"),
            ("token=T&filter=", ""),
            ("token=T&filter=100%", "100%"),
        ] {
            let query = Query::read(text);
            assert_eq!(query.filter.as_deref(), Some(filter), "{text}");
            assert_eq!(query.token.as_deref(), Some("T").filter(|_| text.contains("token")), "{text}");
        }
        let query = Query::read("page=2&itemsPerPage=10&now=true&null&other=1");
        assert_eq!((query.page.as_deref(), query.items_per_page.as_deref()), (Some("2"), Some("10")));
        assert!(query.now && query.filter.is_none() && query.token.is_none());
        assert_eq!(Query::read(""), Query::default());
        assert_eq!(Query::read("%00%ff&=&&&token"), Query::default());
    }
}
