//! The operations on schedules.

use poem_openapi::{ApiResponse, OpenApi, param::Path};

use super::body::{ScheduleBody, ScheduleCreate, ScheduleList, ScheduleUpdate};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Id, Json, Staff, Tags},
    schedule,
};

#[derive(ApiResponse)]
enum ScheduleCreated {
    /// The schedule was created.
    #[oai(status = 201)]
    Created(
        Json<ScheduleBody>,
        /// The path of the schedule.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum ScheduleDeleted {
    /// The schedule was deleted; its jobs stay.
    #[oai(status = 204)]
    Deleted,
}

/// The operations on schedules.
pub struct ScheduleApi {
    /// The database.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/schedule", tag = "Tags::Jobs")]
impl ScheduleApi {
    /// Create a schedule
    ///
    /// It runs for the first time when it is next due.
    #[oai(path = "/", method = "post", operation_id = "admin_schedule_create")]
    async fn create(&self, _staff: Staff, body: Body<ScheduleCreate>) -> Result<ScheduleCreated, Error> {
        let schedule = schedule::create(&self.pool, &body.0.new_schedule()?).await?;
        let location = format!("/v1/admin/schedule/{}", schedule.schedule_id);
        Ok(ScheduleCreated::Created(Json(schedule.into()), location))
    }

    /// List schedules
    ///
    /// Lists the schedules by name, each with its next due times.
    #[oai(path = "/", method = "get", operation_id = "admin_schedule_list")]
    async fn list(&self, _staff: Staff) -> Result<Json<ScheduleList>, Error> {
        let schedules = schedule::list(&self.pool).await?;
        Ok(Json(ScheduleList { items: schedules.into_iter().map(Into::into).collect() }))
    }

    /// Read a schedule
    ///
    /// Includes the next due times.
    #[oai(path = "/:id", method = "get", operation_id = "admin_schedule_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the schedule.
        id: Path<Id>,
    ) -> Result<Json<ScheduleBody>, Error> {
        Ok(Json(schedule::find(&self.pool, id.0.0).await?.into()))
    }

    /// Change, pause or resume a schedule
    ///
    /// Omitted members do not change. Jobs that it has already created are not changed.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_schedule_update")]
    async fn update(
        &self,
        _staff: Staff,
        /// Identifies the schedule.
        id: Path<Id>,
        body: Body<ScheduleUpdate>,
    ) -> Result<Json<ScheduleBody>, Error> {
        let change = body.0.change(&schedule::find(&self.pool, id.0.0).await?)?;
        Ok(Json(schedule::change(&self.pool, id.0.0, change).await?.into()))
    }

    /// Delete a schedule
    ///
    /// Its jobs stay.
    #[oai(path = "/:id", method = "delete", operation_id = "admin_schedule_delete")]
    async fn delete(
        &self,
        _staff: Staff,
        /// Identifies the schedule.
        id: Path<Id>,
    ) -> Result<ScheduleDeleted, Error> {
        schedule::delete(&self.pool, id.0.0).await?;
        Ok(ScheduleDeleted::Deleted)
    }

    /// Run a schedule at once
    ///
    /// Creates the schedule's job, also while the schedule is paused; the next due time stays. If its last job still
    /// waits, no second one is created.
    #[oai(path = "/:id/run", method = "post", operation_id = "admin_schedule_run")]
    async fn run(
        &self,
        _staff: Staff,
        /// Identifies the schedule.
        id: Path<Id>,
    ) -> Result<Json<ScheduleBody>, Error> {
        schedule::run_now(&self.pool, id.0.0).await?;
        Ok(Json(schedule::find(&self.pool, id.0.0).await?.into()))
    }
}
