//! The API's operations on the whole catalogue, for staff only.

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
};

use super::{
    product::{ProductBody, ProductList, ProductSort, list},
    write::{ProductCreate, ProductUpdate},
};
use crate::{
    catalog::{db, write},
    database::Database,
    error::Error,
    http::{Body, Cursor, Id, Json, Staff, Tags},
};

#[derive(ApiResponse)]
enum ProductCreated {
    /// The product is in the catalogue.
    #[oai(status = 201)]
    Created(
        Json<ProductBody>,
        /// The path of the product.
        #[oai(header = "Location")]
        String,
    ),
}

fn not_found(product_id: i64) -> Error {
    Error::NotFound(format!("product {product_id} not found").into())
}

/// The operations of staff on products.
pub struct AdminProductApi {
    /// The database with the catalogue.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/product", tag = "Tags::Products")]
impl AdminProductApi {
    /// Add a product to the catalogue
    ///
    /// Customers can buy it from `sale_from` on. Orders keep the terms on which they were placed when the product
    /// changes.
    #[oai(path = "/", method = "post", operation_id = "admin_product_create")]
    async fn create(&self, _staff: Staff, body: Body<ProductCreate>) -> Result<ProductCreated, Error> {
        let (name, draft) = body.0.into_parts();
        let product = write::create(&self.pool, &name, &draft).await?;
        let location = format!("/v1/admin/product/{}", product.product_id);
        Ok(ProductCreated::Created(Json(product.into()), location))
    }

    /// List all products
    ///
    /// Lists all products in pages, including those not yet or no longer on sale, the oldest first unless `sort`
    /// requests another order.
    #[oai(path = "/", method = "get", operation_id = "admin_product_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<ProductSort>,
    ) -> Result<Json<ProductList>, Error> {
        list(&self.pool, false, sort.0.window(limit.0, cursor.0)?).await
    }

    /// Read a product
    ///
    /// Returns the product, on sale or not.
    #[oai(path = "/:id", method = "get", operation_id = "admin_product_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the product.
        id: Path<Id>,
    ) -> Result<Json<ProductBody>, Error> {
        let product = db::load(&self.pool, id.0.0).await?;
        Ok(Json(product.ok_or_else(|| not_found(id.0.0))?.into()))
    }

    /// Replace a product
    ///
    /// Replaces everything but its name: parameters, prices, requirements and components as a whole. Orders keep the
    /// terms on which they were placed. To take a product off sale, set `sale_until`; products are never deleted.
    #[oai(path = "/:id", method = "put", operation_id = "admin_product_update")]
    async fn update(
        &self,
        _staff: Staff,
        /// Identifies the product.
        id: Path<Id>,
        body: Body<ProductUpdate>,
    ) -> Result<Json<ProductBody>, Error> {
        let product = write::update(&self.pool, id.0.0, &body.0.into()).await?;
        Ok(Json(product.ok_or_else(|| not_found(id.0.0))?.into()))
    }
}
