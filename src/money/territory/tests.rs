use super::*;

fn find(country: &str, postal_code: &str) -> String {
    match area(country.parse().expect("a country"), postal_code) {
        Ok(Area::Switzerland(territory)) => format!("Swiss {territory}"),
        Ok(Area::Union(territory)) => format!("EU {territory}"),
        Ok(Area::Elsewhere) => "elsewhere".to_owned(),
        Err(missing) => missing.to_string(),
    }
}

#[test]
fn area_of_special_territories_follows_directive_and_swiss_law() {
    for (country, postal_code, expected) in [
        // Article 6(1).
        ("GR", "630 86", "elsewhere"),
        ("ES", "35001", "elsewhere"),
        ("ES", "38700", "elsewhere"),
        ("FR", "97100", "elsewhere"),
        ("FR", "97400", "elsewhere"),
        ("FR", "97600", "elsewhere"),
        ("GP", "97100", "elsewhere"),
        ("RE", "97400", "elsewhere"),
        ("FI", "22100", "elsewhere"),
        ("AX", "22100", "elsewhere"),
        ("JE", "JE2 3AB", "elsewhere"),
        ("IT", "22061", "elsewhere"),
        ("CH", "6911", "elsewhere"),
        // Article 6(2).
        ("DE", "27498", "elsewhere"),
        ("DE", "D-27498", "elsewhere"),
        ("DE", "DE-78266", "Swiss CH"),
        ("CH", "8238", "Swiss CH"),
        ("ES", "51001", "elsewhere"),
        ("ES", "52006", "elsewhere"),
        ("IT", "23041", "elsewhere"),
        // Article 7.
        ("MC", "98000", "EU FR"),
        ("MC", "", "EU FR"),
        ("GB", "BFPO 57", "EU CY"),
        ("GB", "bfpo 58", "EU CY"),
        ("GB", "BFPO 53", "EU CY"),
        ("IM", "IM1 1AA", "elsewhere"), // as the United Kingdom
        ("GB", "BT1 5GS", "elsewhere"), // Northern Ireland: goods only
        // Articles 104 and 105.
        ("AT", "A-6691", "EU AT-6691"),
        ("DE", "87567", "EU AT-6691"),
        ("PT", "9000-015", "EU PT-30"),
        ("PT", "9400-030", "EU PT-30"),
        ("PT", "9500-100", "EU PT-20"),
        ("PT", "9980-024", "EU PT-20"),
        // Outside the Union with its postal codes.
        ("DK", "3900", "elsewhere"),
        ("FO", "100", "elsewhere"),
        ("IT", "47890", "elsewhere"),
        ("IT", "00120", "elsewhere"),
        ("FR", "98800", "elsewhere"),
        ("US", "", "elsewhere"),
        // Switzerland's.
        ("LI", "9490", "Swiss LI"),
        ("CH", "9494", "Swiss LI"),
        ("CH", "9470", "Swiss CH"),
        ("CH", "7562", "Swiss CH"),
        // The neighbours of all these.
        ("FR", "98000", "EU FR"),
        ("FR", "97000", "EU FR"),
        ("ES", "28001", "EU ES"),
        ("IT", "20121", "EU IT"),
        ("IT", "22060", "EU IT"), // Cabiate
        ("IT", "23030", "EU IT"), // Chiuro
        ("FI", "00100", "EU FI"),
        ("PT", "1000-001", "EU PT"),
        ("AT", "1010", "EU AT"),
        ("GR", "811 00", "EU GR"),
        ("DK", "1050", "EU DK"),
        ("SE", "", "EU SE"),
    ] {
        assert_eq!(find(country, postal_code), expected, "{country} {postal_code}");
    }
}

#[test]
fn area_without_postal_code_is_refused_where_it_decides() {
    for country in ["AT", "DE", "DK", "ES", "FI", "FR", "GR", "IT", "PT"] {
        assert!(find(country, " - ").starts_with("is missing: in "), "{country}");
    }
    for country in ["CH", "LI", "NL", "IE", "GB", "MC", "US"] {
        assert!(!find(country, "").starts_with("is missing"), "{country}");
    }
}

#[test]
fn territory_as_written_is_read_back() {
    for text in ["CH", "DE", "AT-6691", "PT-20", "PT-30"] {
        assert_eq!(text.parse::<Territory>().map(|territory| territory.to_string()), Ok(text.to_owned()));
    }
    for text in ["", "PT-10", "EL", "ch"] {
        assert_eq!(text.parse::<Territory>(), Err(TerritoryError), "{text}");
    }
    assert_eq!(Territory::with_vat().count(), 34);
}
