//! The whole catalogue; staff only.

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use super::{
    product::{ProductBody, ProductList, ProductSort, list},
    write::{ProductCreate, ProductUpdate},
};
use crate::{
    catalog::{db, write},
    error::Error,
    http::{Body, Cursor, Id, Staff, Tags},
};

#[derive(ApiResponse)]
enum ProductCreated {
    /// In the catalogue.
    #[oai(status = 201)]
    Created(
        Json<ProductBody>,
        /// Where the product is.
        #[oai(header = "Location")]
        String,
    ),
}

fn not_found(product_id: i64) -> Error {
    Error::NotFound(format!("there is no product {product_id}").into())
}

/// The operations.
pub struct AdminProductApi {
    /// Where the catalogue is.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/product", tag = "Tags::Products")]
impl AdminProductApi {
    /// Put a product into the catalogue
    ///
    /// It can be bought from `sale_from` on. Orders keep the terms that they were placed on, whatever becomes of the
    /// product.
    #[oai(path = "/", method = "post", operation_id = "admin_product_create")]
    async fn create(&self, _staff: Staff, body: Body<ProductCreate>) -> Result<ProductCreated, Error> {
        let (name, draft) = body.0.into_parts();
        let product = write::create(&self.pool, &name, &draft).await?;
        let location = format!("/v1/admin/product/{}", product.product_id);
        Ok(ProductCreated::Created(Json(product.into()), location))
    }

    /// List all products
    ///
    /// Also those that are not on sale yet, or no longer; the oldest first unless `sort` says otherwise, in pages.
    #[oai(path = "/", method = "get", operation_id = "admin_product_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Products on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<ProductSort>,
    ) -> Result<Json<ProductList>, Error> {
        list(&self.pool, false, sort.0.window(limit.0, cursor.0)?).await
    }

    /// Read a product
    ///
    /// Whether it is on sale or not.
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

    /// Write a product anew
    ///
    /// All but its name, parameters, prices, requirements and components as a whole. Orders keep what they were placed
    /// with. To take it off sale, write it with `sale_until`; products are never deleted.
    #[oai(path = "/:id", method = "put", operation_id = "admin_product_update")]
    async fn edit(
        &self,
        _staff: Staff,
        /// Identifies the product.
        id: Path<Id>,
        body: Body<ProductUpdate>,
    ) -> Result<Json<ProductBody>, Error> {
        let product = write::edit(&self.pool, id.0.0, &body.0.into()).await?;
        Ok(Json(product.ok_or_else(|| not_found(id.0.0))?.into()))
    }
}
