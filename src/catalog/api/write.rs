//! A product in requests.

use super::super::{
    draft::ProductDraft,
    product::{Parameter, ParameterPrice, Price},
};
use crate::{
    http::{Items, Line, Lines, Moment, Number, ParameterName, ProductName, input},
    money::{
        amount::Currency, charge::BillingMode, language::Language, period::RecurringPeriod, unit_price::UnitPrice,
    },
    services::Delivery,
};

input! {
    /// A product to be added to the catalogue.
    pub struct ProductCreate {
        /// The product's name for programs.
        pub name: ProductName,
        /// The product's name for people.
        pub title: Line<200>,
        /// The product's name in other languages; of two in one language, the last counts.
        pub titles: Items<ProductTitleCreate>,
        /// The product's description; empty if omitted.
        pub description: Option<Lines<2000>>,
        /// The way in which orders are provisioned; `manual` if omitted.
        pub delivery: Option<Delivery>,
        /// The time at which a period is billed; `advance` if omitted.
        pub billing_mode: Option<BillingMode>,
        /// The time from which customers can buy the product, to the second; now if omitted.
        pub sale_from: Option<Moment>,
        /// The time from which customers can no longer buy the product.
        pub sale_until: Option<Moment>,
        /// The parameters that customers choose.
        pub parameters: Items<ProductParameterCreate>,
        /// The product's prices, for each recurring period and currency.
        pub prices: Items<ProductPriceCreate>,
        /// The products that the customer must have or order as well.
        pub requires: Items<ProductRequirementCreate>,
        /// The components of a bundle, which must not be bundles. A parameter's name must be unique in a bundle.
        pub components: Items<ProductComponentCreate>,
    }
}

input! {
    /// The new definition of a product, except for its name. It replaces the old one: omitted members become empty or
    /// get the defaults of a new product; `sale_from` stays as it is.
    pub struct ProductUpdate {
        /// The product's name for people.
        pub title: Line<200>,
        /// The product's name in other languages; of two in one language, the last counts.
        pub titles: Items<ProductTitleCreate>,
        /// The product's description; empty if omitted.
        pub description: Option<Lines<2000>>,
        /// The way in which orders are provisioned; `manual` if omitted.
        pub delivery: Option<Delivery>,
        /// The time at which a period is billed; `advance` if omitted.
        pub billing_mode: Option<BillingMode>,
        /// The time from which customers can buy the product; unchanged if omitted.
        pub sale_from: Option<Moment>,
        /// The time from which customers can no longer buy the product.
        pub sale_until: Option<Moment>,
        /// The parameters that customers choose.
        pub parameters: Items<ProductParameterCreate>,
        /// The product's prices, for each recurring period and currency.
        pub prices: Items<ProductPriceCreate>,
        /// The products that the customer must have or order as well.
        pub requires: Items<ProductRequirementCreate>,
        /// The components of a bundle, which must not be bundles. A parameter's name must be unique in a bundle.
        pub components: Items<ProductComponentCreate>,
    }
}

input! {
    /// A parameter of a product, which the customer chooses.
    pub struct ProductParameterCreate {
        /// The parameter's name for programs.
        pub name: ParameterName,
        /// The unit that is counted, such as GB.
        pub unit: Line<40>,
        /// The words after the number on bills, in each language; name and unit are written if omitted. Of two
        /// in one language, the last counts.
        pub words: Items<ProductParameterWordsCreate>,
        /// The smallest value.
        pub minimum: Number<0, 1_000_000>,
        /// The largest value, a whole number of steps above the smallest.
        pub maximum: Number<0, 1_000_000>,
        /// The difference between two adjacent values; 1 if omitted.
        pub step: Option<Number<1, 1_000_000>>,
    }
}

input! {
    /// The words after a quantity of a parameter on bills, as in `1 core` and `2 cores`.
    pub struct ProductParameterWordsCreate {
        /// The language.
        pub language: Language,
        /// After a quantity of one.
        pub one: Line<40>,
        /// After any other quantity.
        pub other: Line<40>,
    }
}

input! {
    /// A product's name in another language.
    pub struct ProductTitleCreate {
        /// The language.
        pub language: Language,
        /// The product's name for people.
        pub title: Line<200>,
    }
}

input! {
    /// The price of a product for a recurring period in a currency.
    pub struct ProductPriceCreate {
        /// The recurring period; omitted for a one-time purchase.
        pub recurring_period: Option<RecurringPeriod>,
        /// The currency of all amounts.
        pub currency: Currency,
        /// The one-time price; 0.00 if omitted.
        pub one_time: Option<UnitPrice>,
        /// The price of each period; 0.00 if omitted.
        pub recurring: Option<UnitPrice>,
        /// The number of periods that can't be cancelled; if omitted 1, or 0 for a one-time purchase.
        pub commitment_periods: Option<Number<0, 1000>>,
        /// The additional price of one unit of each parameter; a parameter that is not listed is free.
        pub parameters: Items<ProductParameterPriceCreate>,
    }
}

input! {
    /// The price of one unit of a parameter.
    pub struct ProductParameterPriceCreate {
        /// The name of the product's parameter.
        pub name: ParameterName,
        /// The one-time price; 0.00 if omitted.
        pub one_time: Option<UnitPrice>,
        /// The price of each period; 0.00 if omitted.
        pub recurring: Option<UnitPrice>,
    }
}

input! {
    /// A product that another product requires.
    pub struct ProductRequirementCreate {
        /// The product's name for programs.
        pub name: ProductName,
    }
}

input! {
    /// A product as a component of a bundle.
    pub struct ProductComponentCreate {
        /// The product's name for programs.
        pub name: ProductName,
        /// The quantity in the bundle; 1 if omitted.
        pub quantity: Option<Number<1, 100>>,
    }
}

impl From<ProductParameterCreate> for Parameter {
    fn from(body: ProductParameterCreate) -> Self {
        Self {
            name: body.name.0,
            unit: body.unit.0,
            words: body.words.0.into_iter().map(|words| (words.language, [words.one.0, words.other.0])).collect(),
            minimum: body.minimum.get(),
            maximum: body.maximum.get(),
            step: body.step.map_or(1, Number::get),
        }
    }
}

impl From<ProductPriceCreate> for Price {
    fn from(body: ProductPriceCreate) -> Self {
        let of_parameter = |price: ProductParameterPriceCreate| ParameterPrice {
            parameter: price.name.0,
            one_time: price.one_time.unwrap_or_default(),
            recurring: price.recurring.unwrap_or_default(),
        };
        let usual_commitment = u32::from(body.recurring_period.is_some());
        Self {
            period: body.recurring_period,
            currency: body.currency,
            one_time: body.one_time.unwrap_or_default(),
            recurring: body.recurring.unwrap_or_default(),
            commitment_periods: body.commitment_periods.map_or(usual_commitment, Number::get),
            parameters: body.parameters.0.into_iter().map(of_parameter).collect(),
        }
    }
}

impl From<ProductUpdate> for ProductDraft {
    fn from(body: ProductUpdate) -> Self {
        Self {
            title: body.title.0,
            titles: body.titles.0.into_iter().map(|title| (title.language, title.title.0)).collect(),
            description: body.description.map_or_else(String::new, |text| text.0),
            delivery: body.delivery.unwrap_or(Delivery::Manual),
            billing_mode: body.billing_mode.unwrap_or(BillingMode::Advance),
            sale_from: body.sale_from.map(|time| time.0),
            sale_until: body.sale_until.map(|time| time.0),
            parameters: body.parameters.0.into_iter().map(Into::into).collect(),
            prices: body.prices.0.into_iter().map(Into::into).collect(),
            requires: body.requires.0.into_iter().map(|required| required.name.0).collect(),
            components: body
                .components
                .0
                .into_iter()
                .map(|part| (part.name.0, part.quantity.map_or(1, Number::get)))
                .collect(),
        }
    }
}

impl ProductCreate {
    /// Splits the request into the name and the draft.
    pub(super) fn into_parts(self) -> (String, ProductDraft) {
        let Self {
            name,
            title,
            titles,
            description,
            delivery,
            billing_mode,
            sale_from,
            sale_until,
            parameters,
            prices,
            requires,
            components,
        } = self;
        let rest = ProductUpdate {
            title,
            titles,
            description,
            delivery,
            billing_mode,
            sale_from,
            sale_until,
            parameters,
            prices,
            requires,
            components,
        };
        (name.0, rest.into())
    }
}
