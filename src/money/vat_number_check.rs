//! The check digits of VAT numbers, one rule for each country; see `vat_number.rs` for the source. Each function
//! takes the text after the prefix, in one of the country's forms.

/// Returns the values of the digits; other characters are skipped.
fn digits(body: &str) -> Vec<u32> {
    body.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Returns all digits as one number.
fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(*digit))
}

/// Returns the sum of the first digits, each times its weight.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Returns the number that completes the sum to a multiple of 11; 10 if no digit does.
const fn up_to_11(sum: u32) -> u32 {
    (11 - sum % 11) % 11
}

/// Checks Luhn's rule (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u32]) -> bool {
    let doubled = |(i, digit): (usize, &u32)| if i % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}

/// Checks MOD 11,10 of ISO/IEC 7064.
fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, digits)) = digits.split_last() else { return false };
    let product = digits.iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (product + check) % 10 == 1
}

pub(super) fn at(body: &str) -> bool {
    let digits = digits(body);
    let sum: u32 = digits[..7].iter().enumerate().map(|(i, d)| if i % 2 == 1 { d / 5 + d * 2 % 10 } else { *d }).sum();
    (sum + 4 + digits[7]).is_multiple_of(10)
}

pub(super) fn be(body: &str) -> bool {
    let digits = digits(body);
    97 - number(&digits[..8]) % 97 == number(&digits[8..])
}

/// Checks a Bulgarian number: nine digits for companies; ten for citizens, foreigners or others, each by its own
/// rule.
pub(super) fn bg(body: &str) -> bool {
    let digits = digits(body);
    let check = digits[digits.len() - 1];
    if digits.len() == 9 {
        let first = weighted(&digits, &[1, 2, 3, 4, 5, 6, 7, 8]) % 11;
        let second = weighted(&digits, &[3, 4, 5, 6, 7, 8, 9, 10]) % 11;
        return check == if first < 10 { first } else { second % 10 };
    }
    let citizen = weighted(&digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    let foreigner = weighted(&digits, &[21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10;
    let other = up_to_11(weighted(&digits, &[4, 3, 2, 7, 6, 5, 4, 3, 2]));
    [citizen, foreigner, other].contains(&check)
}

/// Checks a Swiss UID.
pub(super) fn ch(body: &str) -> bool {
    let digits = digits(body);
    digits[8] == up_to_11(weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4]))
}

pub(super) fn cy(body: &str) -> bool {
    const AT_ODD_PLACES: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let value = |(i, digit): (usize, u32)| if i % 2 == 0 { AT_ODD_PLACES[digit as usize] } else { digit };
    let sum: u32 = digits(body).into_iter().enumerate().map(value).sum();
    !body.starts_with("12") && body.bytes().last().map(u32::from) == Some(u32::from(b'A') + sum % 26)
}

/// Checks a Czech number: eight digits for companies, nine with a leading 6 for individuals; all others are birth
/// numbers, which have a check digit since 1954.
pub(super) fn cz(body: &str) -> bool {
    let digits = digits(body);
    match digits[..] {
        [first, .., check] if digits.len() == 8 => {
            first != 9 && check == (11 - weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10
        }
        [6, .., check] if digits.len() == 9 => {
            let short_of_11 = 11 - weighted(&digits[1..], &[8, 7, 6, 5, 4, 3, 2]) % 11;
            check == (19 - short_of_11) % 10
        }
        [.., check] if digits.len() == 10 => check == u32::try_from(number(&digits[..9]) % 11 % 10).unwrap_or(10),
        _ => true,
    }
}

pub(super) fn de(body: &str) -> bool {
    !body.starts_with('0') && mod_11_10(&digits(body))
}

pub(super) fn dk(body: &str) -> bool {
    !body.starts_with('0') && weighted(&digits(body), &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

pub(super) fn ee(body: &str) -> bool {
    weighted(&digits(body), &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// Checks a Spanish number: an individual's ends in a letter for the remainder modulo 23, a company's in a digit or
/// the letter for it.
pub(super) fn es(body: &str) -> bool {
    let (first, rest) = body.split_at(1);
    let (middle, check) = rest.split_at(7);
    let of_person = |digits: &str| {
        let remainder = digits.parse().map_or(0, |number: usize| number % 23);
        &"TRWAGMYFPDXBNJZSQVHLCKE"[remainder..=remainder] == check
    };
    match first {
        "X" | "K" | "L" | "M" => of_person(middle),
        "Y" | "Z" => of_person(&format!("{}{middle}", if first == "Y" { 1 } else { 2 })),
        "I" | "O" | "T" => false,
        _ if first.as_bytes()[0].is_ascii_digit() => of_person(&body[..8]),
        _ => (0..10_usize).any(|digit| {
            let is_it = check == digit.to_string() || check == &"JABCDEFGHI"[digit..=digit];
            is_it && luhn(&digits(&format!("{middle}{digit}")))
        }),
    }
}

pub(super) fn fi(body: &str) -> bool {
    let digits = digits(body);
    digits[7] == up_to_11(weighted(&digits, &[7, 9, 10, 5, 8, 4, 2]))
}

/// Checks a French number: the SIREN of a company, with a key of two digits, or of digits and letters in a newer
/// form. Monaco's numbers start with 000 and are not a SIREN.
pub(super) fn fr(body: &str) -> bool {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let (key, siren) = body.split_at(2);
    let siren_digits = digits(siren);
    let number = number(&siren_digits);
    let places: Vec<u64> = key.chars().filter_map(|c| ALPHABET.find(c)).map(|place| place as u64).collect();
    let fits = match places[..] {
        [tens @ 0..10, ones @ 0..10] => (number * 100 + 12) % 97 == tens * 10 + ones,
        [digit @ 0..10, letter] => younger(number, digit * 24 + letter - 10),
        [letter, second] => younger(number, letter * 34 + second - 100),
        _ => false,
    };
    fits && (siren.starts_with("000") || luhn(&siren_digits))
}

const fn younger(siren: u64, key: u64) -> bool {
    (siren + 1 + key / 11) % 11 == key % 11
}

/// Checks a British number: nine digits have either of two remainders; twelve are nine and a branch. Government
/// departments are below 500, health authorities are not.
pub(super) fn gb(body: &str) -> bool {
    let digits = digits(body);
    match (body.get(..2), number(&digits)) {
        (Some("GD"), number) => number < 500,
        (Some("HA"), number) => number >= 500,
        _ => {
            let sum = u64::from(weighted(&digits, &[8, 7, 6, 5, 4, 3, 2])) + number(&digits[7..9]);
            matches!(sum % 97, 0 | 42)
        }
    }
}

pub(super) fn gr(body: &str) -> bool {
    let digits = digits(body);
    digits[8] == weighted(&digits, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10
}

pub(super) fn hr(body: &str) -> bool {
    mod_11_10(&digits(body))
}

pub(super) fn hu(body: &str) -> bool {
    weighted(&digits(body), &[9, 7, 3, 1, 9, 7, 3, 1]).is_multiple_of(10)
}

/// Checks an Irish number: in the old form, the digits after the second place come first, and the very first one
/// last.
pub(super) fn ie(body: &str) -> bool {
    let digits = digits(body);
    let digits = if digits.len() == 7 { digits } else { [&[0], &digits[1..], &digits[..1]].concat() };
    let (check, kind) = (&body[7..8], body.as_bytes().get(8));
    let kind_value = match kind {
        None => 0,
        Some(b'A') => 1,
        Some(b'H') => 8,
        Some(_) => return false,
    };
    let remainder = ((weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + 9 * kind_value) % 23) as usize;
    check == &"WABCDEFGHIJKLMNOPQRSTUV"[remainder..=remainder]
}

pub(super) fn it(body: &str) -> bool {
    luhn(&digits(body))
}

/// Checks a Lithuanian number: nine digits for companies, twelve for temporary registrations; the digit before the
/// check digit is a 1.
pub(super) fn lt(body: &str) -> bool {
    let digits = digits(body);
    let last = digits.len() - 1;
    let cycle = |from: u32| (0..).map(move |i| (from - 1 + i) % 9 + 1);
    let sum = |from| digits[..last].iter().zip(cycle(from)).map(|(digit, weight)| digit * weight).sum::<u32>() % 11;
    let check = if sum(1) < 10 { sum(1) } else { sum(3) % 10 };
    digits[last - 1] == 1 && digits[last] == check
}

pub(super) fn lu(body: &str) -> bool {
    let digits = digits(body);
    number(&digits[..6]) % 89 == number(&digits[6..])
}

/// Checks a Latvian number: a first digit of 3 or less marks an individual's, which contains the date of birth and
/// has no check digit that applies to all.
pub(super) fn lv(body: &str) -> bool {
    let digits = digits(body);
    digits[0] <= 3 || weighted(&digits, &[9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1]) % 11 == 3
}

pub(super) fn mt(body: &str) -> bool {
    let digits = digits(body);
    !body.starts_with('0') && number(&digits[6..]) == u64::from(37 - weighted(&digits, &[3, 4, 6, 7, 8, 9]) % 37)
}

/// Checks a Dutch number: companies have the eleven test; sole traders since 2020 MOD 97-10 of ISO/IEC 7064 over the
/// whole number.
pub(super) fn nl(body: &str) -> bool {
    let digits = digits(body);
    let eleven = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == digits[8];
    let value = |c: char| u64::from(c.to_digit(36).unwrap_or(0));
    let remainder = format!("NL{body}")
        .chars()
        .map(value)
        .fold(0, |rest, value| (rest * if value < 10 { 10 } else { 100 } + value) % 97);
    eleven || remainder == 1
}

pub(super) fn no(body: &str) -> bool {
    let digits = digits(body);
    digits[8] == up_to_11(weighted(&digits, &[3, 2, 7, 6, 5, 4, 3, 2]))
}

pub(super) fn pl(body: &str) -> bool {
    let digits = digits(body);
    digits[9] == weighted(&digits, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11
}

pub(super) fn pt(body: &str) -> bool {
    let digits = digits(body);
    digits[0] != 0 && digits[8] == up_to_11(weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2])) % 10
}

pub(super) fn ro(body: &str) -> bool {
    let digits = digits(&format!("{body:0>10}"));
    !body.starts_with('0') && digits[9] == weighted(&digits, &[7, 5, 3, 2, 1, 7, 5, 3, 2]) * 10 % 11 % 10
}

/// Checks a Swedish number: that of the organisation or person; the last two digits are always 01.
pub(super) fn se(body: &str) -> bool {
    luhn(&digits(&body[..10]))
}

pub(super) fn si(body: &str) -> bool {
    let digits = digits(body);
    let check = 11 - weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) % 11;
    digits[0] != 0 && check < 11 && digits[7] == check % 10
}

pub(super) fn sk(body: &str) -> bool {
    let digits = digits(body);
    digits[0] != 0 && matches!(digits[2], 2 | 3 | 4 | 7 | 8 | 9) && number(&digits).is_multiple_of(11)
}
