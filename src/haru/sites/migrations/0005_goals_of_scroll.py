from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sites", "0004_numbers_of_sites"),
    ]

    operations = [
        migrations.AddField(
            model_name="goal",
            name="scroll",
            field=models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="scroll"),
        ),
        migrations.AddConstraint(
            model_name="goal",
            constraint=models.CheckConstraint(
                condition=models.Q(("scroll", None), models.Q(("page__gt", ""), ("scroll__lte", 100)), _connector="OR"),
                name="sites_goal_scroll",
            ),
        ),
    ]
