//! A product as a request has it.

use super::super::{
    draft::ProductDraft,
    product::{Parameter, ParameterPrice, Price},
};
use crate::{
    http::{self, Items, Line, Lines, Moment, Number, ParameterName, ProductName, input},
    money::{
        amount::{Amount, Currency},
        charge::Timing,
        period::RecurringPeriod,
    },
    services::Delivery,
};

input! {
    /// A product to be put into the catalogue.
    pub struct ProductCreate {
        /// Its name for programs.
        pub name: ProductName,
        /// Its name for people.
        pub title: Line<200>,
        /// What it is; nothing when left out.
        pub description: Option<Lines<2000>>,
        /// Who realises an order; `manual` when left out.
        pub delivery: Option<Delivery>,
        /// When a period is billed; `advance` when left out.
        pub billing_mode: Option<Timing>,
        /// From when on it can be bought, to the second; now when left out.
        pub sale_from: Option<Moment>,
        /// From when on it no longer can.
        pub sale_until: Option<Moment>,
        /// What the customer chooses.
        pub parameters: Items<ProductParameterCreate>,
        /// What it costs, for each recurring period and currency.
        pub prices: Items<ProductPriceCreate>,
        /// What the customer must have, or order along.
        pub requires: Items<ProductRequirementCreate>,
        /// What it consists of. Products without components of their own; no parameter's name twice in a bundle.
        pub components: Items<ProductComponentCreate>,
    }
}

input! {
    /// All of a product but its name. It takes the place of what was there: what is left out is none, or as for a new
    /// product; `sale_from` stays.
    pub struct ProductUpdate {
        /// Its name for people.
        pub title: Line<200>,
        /// What it is; nothing when left out.
        pub description: Option<Lines<2000>>,
        /// Who realises an order; `manual` when left out.
        pub delivery: Option<Delivery>,
        /// When a period is billed; `advance` when left out.
        pub billing_mode: Option<Timing>,
        /// From when on it can be bought; as before when left out.
        pub sale_from: Option<Moment>,
        /// From when on it no longer can.
        pub sale_until: Option<Moment>,
        /// What the customer chooses.
        pub parameters: Items<ProductParameterCreate>,
        /// What it costs, for each recurring period and currency.
        pub prices: Items<ProductPriceCreate>,
        /// What the customer must have, or order along.
        pub requires: Items<ProductRequirementCreate>,
        /// What it consists of. Products without components of their own; no parameter's name twice in a bundle.
        pub components: Items<ProductComponentCreate>,
    }
}

input! {
    /// What a customer chooses of a product.
    pub struct ProductParameterCreate {
        /// Its name for programs.
        pub name: ParameterName,
        /// What is counted, such as GB.
        pub unit: Line<40>,
        /// The smallest value.
        pub minimum: Number<0, 1_000_000>,
        /// The largest value, whole steps from the smallest.
        pub maximum: Number<0, 1_000_000>,
        /// What lies between a value and the next; 1 when left out.
        pub step: Option<Number<1, 1_000_000>>,
    }
}

input! {
    /// What a product costs for a recurring period in a currency.
    pub struct ProductPriceCreate {
        /// How often the recurring price is paid; left out where all is paid once.
        pub recurring_period: Option<RecurringPeriod>,
        /// Of all amounts.
        pub currency: Currency,
        /// Once; nothing when left out.
        pub one_time: Option<http::Price>,
        /// For each period; nothing when left out.
        pub recurring: Option<http::Price>,
        /// Periods that can't be cancelled; when left out 1, or 0 where all is paid once.
        pub commitment_periods: Option<Number<0, 1000>>,
        /// What one unit of a parameter costs besides; what is left out costs nothing.
        pub parameters: Items<ProductParameterPriceCreate>,
    }
}

input! {
    /// What one unit of a parameter costs.
    pub struct ProductParameterPriceCreate {
        /// Which parameter of the product.
        pub name: ParameterName,
        /// Once; nothing when left out.
        pub one_time: Option<http::Price>,
        /// For each period; nothing when left out.
        pub recurring: Option<http::Price>,
    }
}

input! {
    /// A product that another one needs.
    pub struct ProductRequirementCreate {
        /// Its name for programs.
        pub name: ProductName,
    }
}

input! {
    /// A product as a part of a bundle.
    pub struct ProductComponentCreate {
        /// Its name for programs.
        pub name: ProductName,
        /// How many of it; 1 when left out.
        pub quantity: Option<Number<1, 100>>,
    }
}

fn amount(price: Option<http::Price>) -> Amount {
    price.map_or(Amount::ZERO, |price| price.0)
}

impl From<ProductParameterCreate> for Parameter {
    fn from(body: ProductParameterCreate) -> Self {
        Self {
            name: body.name.0,
            unit: body.unit.0,
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
            one_time: amount(price.one_time),
            recurring: amount(price.recurring),
        };
        let usual_commitment = u32::from(body.recurring_period.is_some());
        Self {
            period: body.recurring_period,
            currency: body.currency,
            one_time: amount(body.one_time),
            recurring: amount(body.recurring),
            commitment_periods: body.commitment_periods.map_or(usual_commitment, Number::get),
            parameters: body.parameters.0.into_iter().map(of_parameter).collect(),
        }
    }
}

impl From<ProductUpdate> for ProductDraft {
    fn from(body: ProductUpdate) -> Self {
        Self {
            title: body.title.0,
            description: body.description.map_or_else(String::new, |text| text.0),
            delivery: body.delivery.unwrap_or(Delivery::Manual),
            billing_mode: body.billing_mode.unwrap_or(Timing::Advance),
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
    /// The name, and the rest.
    pub(super) fn into_parts(self) -> (String, ProductDraft) {
        let Self {
            name,
            title,
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
