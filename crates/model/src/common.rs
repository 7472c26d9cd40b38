//! Passwords that guessers try first.

/// What guessers try first: the top of published lists of passwords, and what PBXs are delivered with.
const COMMON_PASSWORDS: &str = "123456 123456789 12345678 password password1 password123 passw0rd qwerty qwerty123 1q2w3e4r \
    1q2w3e 111111 000000 123123 654321 666666 888888 987654321 1234567890 1234567 12345 1234 123 abc123 abcd1234 \
    iloveyou admin admin123 administrator root toor letmein welcome welcome1 monkey dragon football baseball master \
    superman batman trustno1 sunshine princess shadow michael jennifer secret secret123 changeme changeit changeme123 default \
    test test123 testtest guest user phone phone123 telephone voip voip123 sip sip123 sipsip asterisk asterisk123 \
    freepbx trixbox elastix kamailio opensips routr trunkline pbx pbx123 extension ext phones office office123 \
    company polycom yealink grandstream cisco cisco123 snom 0000 1111 2222 9999 zaq12wsx asdfgh asdf1234 zxcvbnm \
    qazwsx qwertyuiop p@ssw0rd p@ssword pass pass123 pass1234 hello hello123 access access123 login temp temp123 \
    temporary server system manager operator service support info demo demo123 public private";

/// Is this password one that guessers try first, in whatever case?
pub fn is_common_password(password: &str) -> bool {
    COMMON_PASSWORDS.split_whitespace().any(|common| common.eq_ignore_ascii_case(password))
}

#[cfg(test)]
mod tests {
    #[test]
    fn common_ones_are_known() {
        assert!(super::is_common_password("ChangeIt") && super::is_common_password("password"));
        assert!(!super::is_common_password("") && !super::is_common_password("correct horse"));
    }
}
